// Command alerts sends roomcall's warnings to people: as a mail, or to Teams, DingTalk,
// WeCom or Feishu. It sends the sentence that the agent wrote (text), in the agent's
// language, when something begins and again when it is over.
//
// Promise: an event is acknowledged to the broker after the receiver has accepted it,
// never before, and the session stays at the broker while this program is not running.
// So no alert is lost; after a failure one may come twice. Events that wait are put
// into one message, without the incidents that began and ended among them, and there is
// at most one message in four seconds, because the receivers reject more than about 20 a
// minute. What the receiver rejects is tried again, after pauses that grow to five minutes.
//
// The exception: what an agent sends more than an hour late, after an outage or because of
// `roomcall buffer replay`, is no alert any more. It is acknowledged at once, and what of
// it is not over follows in one message when no more comes.
//
// ALERT_TO is mail, teams, dingtalk, wecom or feishu. ALERT_URL is the robot's or the
// workflow's address, ALERT_SECRET its key for signatures (DingTalk and Feishu, when
// switched on there). For mail, SMTP_ADDR is HOST:PORT (465 is TLS from the start),
// MAIL_FROM and MAIL_TO are addresses (several with commas), SMTP_USER and ALERT_SECRET
// the account. BROKER_URL, MQTT_USER and MQTT_PASSWORD name the broker, SSL_CERT_FILE its
// CA if the system does not know it (Linux), TOPIC_PREFIX the agents' topic_prefix. The
// secrets ALERT_URL, ALERT_SECRET and MQTT_PASSWORD can be in files, named by
// ALERT_URL_FILE and so on.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	wait     = 30 * time.Second // for the broker or the receiver to answer
	pause    = 4 * time.Second  // between two messages, and before the next attempt
	maxPause = 5 * time.Minute
	late     = time.Hour        // after which an event that the agent sends again is no alert
	quiet    = 10 * time.Second // without another late event, before they are sent
	maxQuiet = time.Minute      // or this long after the first
	maxAhead = 65535            // messages that MQTT allows to be unacknowledged
	maxText  = 1800             // bytes of a message; WeCom accepts 2,048, the others more
	maxLate  = 1000             // late alerts that are kept; the others are counted
	maxSent  = 1000             // newest ids, at least, to drop what arrives twice
)

// event has what an alert needs of a record of kind event.
type event struct {
	ID, Type, Severity, Text, Room, Device, Site, Metric string
	IncidentID                                           string `json:"incident_id"`
	ClientID                                             string `json:"-"` // of the topic
	Value, Limit                                         *float64
	TsMs                                                 int64 `json:"ts_ms"`
	Replayed                                             int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := settings(); err != nil {
		slog.Error("wrong settings", "err", err)
		os.Exit(2)
	}
	for ctx.Err() == nil {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			slog.Error("starting again", "in", pause, "err", err)
			sleep(ctx, pause)
		}
	}
}

// settings says what is wrong with the environment, before the first alert does.
func settings() error {
	var wrong []error
	need := []string{"BROKER_URL"}
	switch to := os.Getenv("ALERT_TO"); to {
	case "mail":
		need = append(need, "SMTP_ADDR", "MAIL_FROM", "MAIL_TO")
		if _, _, err := net.SplitHostPort(os.Getenv("SMTP_ADDR")); err != nil {
			wrong = append(wrong, fmt.Errorf("SMTP_ADDR: %w", err))
		}
	case "teams", "dingtalk", "wecom", "feishu":
		address, err := secret("ALERT_URL")
		if u, bad := url.Parse(address); err == nil && (bad != nil || u.Host == "") {
			err = errors.New("ALERT_URL is not a URL") // it is a secret, so it is not shown
		}
		wrong = append(wrong, err)
	default:
		wrong = append(wrong, fmt.Errorf("ALERT_TO is %q; use mail, teams, dingtalk, wecom or feishu", to))
	}
	for _, name := range need {
		if os.Getenv(name) == "" {
			wrong = append(wrong, errors.New(name+" is not set"))
		}
	}
	for _, name := range []string{"ALERT_SECRET", "MQTT_PASSWORD"} {
		_, err := secret(name)
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// secret is the content of the file that NAME_FILE names, or else NAME itself. The file is
// read each time, so that a new secret needs no restart.
func secret(name string) (string, error) {
	file := os.Getenv(name + "_FILE")
	if file == "" {
		return os.Getenv(name), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimSpace(string(data)), nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// What survives a lost connection: the late alerts, which are acknowledged, and the newest
// ids that the receiver has accepted, so that what arrives again is not sent again.
var (
	lateAlerts digest
	sent       = map[string]bool{}
	sentBefore map[string]bool
)

// run ends with its connection to the broker. What was not acknowledged is delivered
// again on the next one.
func run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	messages := make(chan mqtt.Message, maxAhead)
	broker, err := subscribe(ctx, messages, cancel)
	if err != nil {
		return err
	}
	defer broker.Disconnect(250)
	slog.Info("reading", "broker", os.Getenv("BROKER_URL"), "to", os.Getenv("ALERT_TO"))
	var firstLate time.Time
	for {
		var noMore <-chan time.Time
		if !lateAlerts.empty() {
			noMore = time.After(min(quiet, time.Until(firstLate.Add(maxQuiet))))
		}
		var list []mqtt.Message
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-messages:
			list = waiting(m, messages)
		case <-noMore:
		}
		if lateAlerts.empty() {
			firstLate = time.Now()
		}
		now, unacked := triage(list)
		if len(unacked) == 0 && (len(list) > 0 || lateAlerts.empty()) {
			continue // nothing to say, or more late ones may come
		}
		if err := deliver(ctx, now); err != nil {
			return err
		}
		accepted(unacked)
		sleep(ctx, pause)
	}
}

// triage makes a digest of the events that people should see: warnings, critical ones, and
// the end of an incident. The late ones go to lateAlerts. unacked are the messages of
// the others; all else is acknowledged.
func triage(list []mqtt.Message) (now digest, unacked map[string][]mqtt.Message) {
	unacked = map[string][]mqtt.Message{}
	for _, m := range list {
		// The broker's access list lets an agent write below its own client id only, so no
		// agent ends or hides the alerts of another one.
		levels := strings.Split(m.Topic(), "/")
		var e event
		err := json.Unmarshal(m.Payload(), &e)
		e.ClientID = levels[len(levels)-3]
		if err != nil || !strings.HasPrefix(e.ID, e.ClientID+".") {
			slog.Error("not an event of this agent, skipped", "topic", m.Topic())
			m.Ack()
			continue
		}
		closes := e.Severity == "info" && e.IncidentID != ""
		if e.IncidentID != "" {
			e.IncidentID = e.ClientID + "." + e.IncidentID
		}
		_, twice := unacked[e.ID]
		switch {
		case e.Severity != "warning" && e.Severity != "critical" && !closes || sent[e.ID] || sentBefore[e.ID]:
			m.Ack()
			continue
		case e.Replayed == 1 && time.Since(time.UnixMilli(e.TsMs)) > late:
			if len(lateAlerts.lines) < maxLate {
				lateAlerts.add(&e, closes, &now)
			} else {
				lateAlerts.left++
			}
			remember(e.ID)
			m.Ack()
			continue
		case !twice:
			now.add(&e, closes, &lateAlerts)
		}
		unacked[e.ID] = append(unacked[e.ID], m)
	}
	return now, unacked
}

// deliver sends the alerts, and the late ones with them, until the receiver accepts them.
func deliver(ctx context.Context, now digest) error {
	for next := pause; ; next = min(2*next, maxPause) {
		err := send(ctx, now, lateAlerts)
		if err == nil {
			slog.Info("sent", "alerts", len(now.lines), "late", len(lateAlerts.lines))
			lateAlerts = digest{}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		in := next
		var busy *busyError
		if errors.As(err, &busy) {
			in = max(next, busy.after)
		}
		slog.Error("not accepted, trying again", "to", os.Getenv("ALERT_TO"), "in", in, "err", err)
		sleep(ctx, in)
	}
}

func accepted(unacked map[string][]mqtt.Message) {
	for id, copies := range unacked {
		remember(id)
		for _, m := range copies {
			m.Ack()
		}
	}
}

func remember(id string) {
	if len(sent) >= maxSent {
		sentBefore, sent = sent, map[string]bool{}
	}
	sent[id] = true
}

func subscribe(ctx context.Context, out chan<- mqtt.Message, lost context.CancelCauseFunc) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker(os.Getenv("BROKER_URL"))
	o.SetClientID(cmp.Or(os.Getenv("MQTT_CLIENT_ID"), "roomcall-alerts-"+os.Getenv("ALERT_TO"))).SetCleanSession(false)
	// Only Ack acknowledges a message. They come in order, the end of an incident after
	// its beginning; the handler need not wait, because out has room for all that may be
	// unacknowledged.
	o.SetAutoReconnect(false).SetAutoAckDisabled(true).SetOrderMatters(true)
	o.SetConnectTimeout(wait).SetWriteTimeout(wait).SetProtocolVersion(4)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost(fmt.Errorf("connection to the broker lost: %w", err)) })
	take := func(_ mqtt.Client, m mqtt.Message) {
		select {
		case out <- m:
		case <-ctx.Done():
		}
	}
	o.SetDefaultPublishHandler(take)
	password, err := secret("MQTT_PASSWORD")
	if err != nil {
		return nil, err
	}
	o.SetUsername(os.Getenv("MQTT_USER")).SetPassword(password)
	c := mqtt.NewClient(o)
	if err := settled(c.Connect()); err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	if err := settled(c.Subscribe(cmp.Or(os.Getenv("TOPIC_PREFIX"), "roomcall/v1")+"/+/+/event", 1, take)); err != nil {
		c.Disconnect(0)
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return c, nil
}

func settled(t mqtt.Token) error {
	if !t.WaitTimeout(wait) {
		return errors.New("no answer")
	}
	if s, ok := t.(*mqtt.SubscribeToken); ok {
		for filter, granted := range s.Result() {
			if granted > 2 {
				return fmt.Errorf("the broker does not let this account read %s", filter)
			}
		}
	}
	return t.Error()
}

// waiting collects what already waits, for one message.
func waiting(first mqtt.Message, more <-chan mqtt.Message) []mqtt.Message {
	list := []mqtt.Message{first}
	for {
		select {
		case m := <-more:
			list = append(list, m)
		default:
			return list
		}
	}
}
