// Command alerts sends roomcall's warnings to people: as a mail, or to Teams, DingTalk,
// WeCom or Feishu. It sends the sentence that the agent wrote (text), in the agent's
// language, when something begins and again when it is over.
//
// Promise: an event is acknowledged to the broker after the receiver has accepted it,
// never before, and the session stays at the broker while this program is not running.
// So no alert is lost; after a failure one may come twice. Events that wait are put
// into one message, at most one message every three seconds, because the receivers
// reject more than about 20 a minute.
//
// ALERT_TO is mail, teams, dingtalk, wecom or feishu. ALERT_URL is the robot's or the
// workflow's address, ALERT_SECRET its key for signatures (DingTalk and Feishu, when
// switched on there). For mail, SMTP_ADDR is HOST:PORT, MAIL_FROM and MAIL_TO are
// addresses (several with commas), SMTP_USER and ALERT_SECRET the account. BROKER_URL,
// MQTT_USER and MQTT_PASSWORD_FILE name the broker, TOPIC_PREFIX the agents' topic_prefix.
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/smtp"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	wait      = 30 * time.Second // for the broker or the receiver to answer
	pause     = 3 * time.Second  // between two messages, and before the next attempt
	maxEvents = 500              // in one message; those beyond it wait
	maxText   = 1800             // bytes of a message; WeCom accepts 2,048, the others more
	known     = 1000             // newest ids, to drop what arrives twice
)

// event has what an alert needs of a record of kind event.
type event struct {
	ID, Type, Severity, Text, Room, Device, Site, Metric string
	IncidentID                                           string `json:"incident_id"`
	ClientID                                             string `json:"client_id"`
	Value, Limit                                         *float64
	TsMs                                                 int64 `json:"ts_ms"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			slog.Error("starting again", "in", pause, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// sent are the newest ids that a receiver has accepted, so that what arrives again is
// not sent again.
var sent = map[string]bool{}

// run ends with its connection to the broker, or when the receiver does not accept a
// message. What was not acknowledged is delivered again on the next connection.
func run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	messages := make(chan mqtt.Message, maxEvents)
	broker, err := subscribe(ctx, messages, cancel)
	if err != nil {
		return err
	}
	defer broker.Disconnect(250)
	slog.Info("reading", "broker", os.Getenv("BROKER_URL"), "to", os.Getenv("ALERT_TO"))
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-messages:
			list := batch(m, messages)
			lines, ids := alerts(list)
			if len(lines) > 0 {
				if err := send(ctx, lines); err != nil {
					return fmt.Errorf("send to %s: %w", os.Getenv("ALERT_TO"), err)
				}
				slog.Info("sent", "alerts", len(lines))
			}
			if len(sent) > known {
				clear(sent)
			}
			maps.Copy(sent, ids)
			for _, m := range list {
				m.Ack()
			}
			if len(lines) > 0 {
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		}
	}
}

func subscribe(ctx context.Context, out chan<- mqtt.Message, lost context.CancelCauseFunc) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker(os.Getenv("BROKER_URL"))
	o.SetClientID(cmp.Or(os.Getenv("MQTT_CLIENT_ID"), "roomcall-alerts-"+os.Getenv("ALERT_TO"))).SetCleanSession(false)
	o.SetAutoReconnect(false).SetAutoAckDisabled(true).SetOrderMatters(false)
	o.SetConnectTimeout(wait).SetWriteTimeout(wait).SetProtocolVersion(4)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost(fmt.Errorf("connection to the broker lost: %w", err)) })
	take := func(_ mqtt.Client, m mqtt.Message) {
		select {
		case out <- m:
		case <-ctx.Done():
		}
	}
	o.SetDefaultPublishHandler(take)
	if user := os.Getenv("MQTT_USER"); user != "" {
		password, err := os.ReadFile(os.Getenv("MQTT_PASSWORD_FILE"))
		if err != nil {
			return nil, fmt.Errorf("read MQTT_PASSWORD_FILE: %w", err)
		}
		o.SetUsername(user).SetPassword(strings.TrimSpace(string(password)))
	}
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
	return t.Error()
}

// batch collects what already waits, up to maxEvents, for one message.
func batch(first mqtt.Message, more <-chan mqtt.Message) []mqtt.Message {
	list := []mqtt.Message{first}
	for len(list) < maxEvents {
		select {
		case m := <-more:
			list = append(list, m)
		default:
			return list
		}
	}
	return list
}

// alerts makes a line of each event that people should see: warnings, critical ones,
// and the end of an incident. ids are those of the events.
func alerts(list []mqtt.Message) (lines []string, ids map[string]bool) {
	ids = map[string]bool{}
	for _, m := range list {
		var e event
		if err := json.Unmarshal(m.Payload(), &e); err != nil || e.ID == "" {
			slog.Error("not an event, skipped", "topic", m.Topic())
			continue
		}
		over := e.Severity == "info" && e.IncidentID != ""
		if e.Severity != "warning" && e.Severity != "critical" && !over || sent[e.ID] || ids[e.ID] {
			continue
		}
		ids[e.ID] = true
		lines = append(lines, e.line(over))
	}
	return lines, ids
}

// line is one alert: how bad, when, at which site, and the agent's sentence, which names
// the room.
func (e *event) line(over bool) string {
	mark := map[string]string{"warning": "🟡", "critical": "🔴"}[e.Severity]
	if over {
		mark = "🟢"
	}
	parts := []string{time.UnixMilli(e.TsMs).Format("01-02 15:04")}
	if e.Site != "" {
		parts = append(parts, e.Site)
	}
	text := e.Text
	switch {
	case text == "": // of an agent of an older version
		text = cmp.Or(e.Room, e.Device) + ": " + e.Type
		if e.Value != nil && e.Limit != nil {
			text += fmt.Sprintf(" (%s %g, limit %g)", e.Metric, *e.Value, *e.Limit)
		}
	case e.Device == "agent": // about the agent, which the sentence does not name
		parts = append(parts, e.ClientID)
	}
	parts = append(parts, strings.Join(strings.Fields(text), " ")) // one line
	return mark + " " + strings.Join(parts, " · ")
}

// send hands the lines to the receiver.
func send(ctx context.Context, lines []string) error {
	text, left := "", len(lines)
	for _, line := range lines {
		if len(line) > maxText {
			line = strings.ToValidUTF8(line[:maxText], "")
		}
		if len(text)+len(line) > maxText {
			break
		}
		text, left = text+line+"\n", left-1
	}
	if left > 0 {
		text += fmt.Sprintf("… +%d\n", left)
	}
	text = strings.TrimSpace(text)
	now, secret := time.Now(), os.Getenv("ALERT_SECRET")
	switch to := os.Getenv("ALERT_TO"); to {
	case "mail":
		return mail(ctx, lines[0], text)
	case "teams": // a workflow "When a Teams webhook request is received"
		return post(ctx, "", object{"type": "message", "attachments": []object{{
			"contentType": "application/vnd.microsoft.card.adaptive",
			"content": object{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
				"body": []object{{"type": "TextBlock", "wrap": true, "text": strings.ReplaceAll(text, "\n", "\n\n")}}}}}})
	case "dingtalk":
		query := ""
		if secret != "" {
			ms := strconv.FormatInt(now.UnixMilli(), 10)
			query = "&timestamp=" + ms + "&sign=" + url.QueryEscape(sign(secret, ms+"\n"+secret))
		}
		return post(ctx, query, object{"msgtype": "text", "text": object{"content": text}})
	case "wecom":
		return post(ctx, "", object{"msgtype": "text", "text": object{"content": text}})
	case "feishu":
		text = strings.ReplaceAll(text, "<", "＜") // <at ...> would call people
		body := object{"msg_type": "text", "content": object{"text": text}}
		if secret != "" {
			s := strconv.FormatInt(now.Unix(), 10)
			body["timestamp"], body["sign"] = s, sign(s+"\n"+secret, "")
		}
		return post(ctx, "", body)
	default:
		return fmt.Errorf("ALERT_TO is %q; use mail, teams, dingtalk, wecom or feishu", to)
	}
}

type object = map[string]any

func sign(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// post sends a JSON body to ALERT_URL. A receiver that answers 200 and says in its
// reply that it did not accept the message has not accepted it.
func post(ctx context.Context, query string, body object) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("ALERT_URL")+query, bytes.NewReader(data))
	if err != nil {
		return errors.New("ALERT_URL is not a URL") // the address is a secret
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := http.DefaultClient.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err // without the address
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	var said struct {
		ErrCode, Code int // DingTalk and WeCom; Feishu
	}
	_ = json.Unmarshal(answer, &said) // Teams says nothing
	if resp.StatusCode/100 != 2 || said.ErrCode != 0 || said.Code != 0 {
		return fmt.Errorf("the receiver answers %s: %s", resp.Status, answer)
	}
	return nil
}

// mail sends the text with its first line as the subject.
func mail(ctx context.Context, subject, text string) error {
	addr, from := os.Getenv("SMTP_ADDR"), os.Getenv("MAIL_FROM")
	to := strings.Split(os.Getenv("MAIL_TO"), ",")
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("SMTP_ADDR: %w", err)
	}
	conn, err := (&net.Dialer{Timeout: wait}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{ServerName: host}); err != nil {
			return err
		}
	}
	if user := os.Getenv("SMTP_USER"); user != "" {
		if err := c.Auth(smtp.PlainAuth("", user, os.Getenv("ALERT_SECRET"), host)); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, one := range to {
		if err := c.Rcpt(one); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n", from, strings.Join(to, ", "),
		mime.QEncoding.Encode("utf-8", subject), time.Now().Format(time.RFC1123Z))
	fmt.Fprint(w, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	body := quotedprintable.NewWriter(w)
	if _, err := io.WriteString(body, text+"\n"); err != nil {
		return err
	}
	if err := errors.Join(body.Close(), w.Close()); err != nil { // the server has accepted it
		return err
	}
	_ = c.Quit()
	return nil
}
