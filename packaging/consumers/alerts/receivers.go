package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/smtp"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// send hands the alerts to the receiver.
func send(ctx context.Context, digests ...digest) error {
	text, now := text(digests...), time.Now()
	key, err := secret("ALERT_SECRET")
	if err != nil {
		return err
	}
	switch to := os.Getenv("ALERT_TO"); to {
	case "mail":
		return mail(ctx, key, text)
	case "teams": // a workflow "When a Teams webhook request is received"
		return post(ctx, "", object{"type": "message", "attachments": []object{{
			"contentType": "application/vnd.microsoft.card.adaptive",
			"content": object{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
				"body": []object{{"type": "TextBlock", "wrap": true, "text": strings.ReplaceAll(text, "\n", "\n\n")}}}}}})
	case "dingtalk":
		query := ""
		if key != "" {
			ms := strconv.FormatInt(now.UnixMilli(), 10)
			query = "&timestamp=" + ms + "&sign=" + url.QueryEscape(sign(key, ms+"\n"+key))
		}
		return post(ctx, query, object{"msgtype": "text", "text": object{"content": text}})
	case "wecom":
		return post(ctx, "", object{"msgtype": "text", "text": object{"content": text}})
	case "feishu":
		text = strings.ReplaceAll(text, "<", "＜") // <at ...> would call people
		body := object{"msg_type": "text", "content": object{"text": text}}
		if key != "" {
			s := strconv.FormatInt(now.Unix(), 10)
			body["timestamp"], body["sign"] = s, sign(s+"\n"+key, "")
		}
		return post(ctx, "", body)
	default:
		return fmt.Errorf("ALERT_TO is %q", to)
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
	address, err := secret("ALERT_URL")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+query, bytes.NewReader(data))
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
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil {
		return err
	}
	var said struct {
		ErrCode, Code int // DingTalk and WeCom; Feishu
	}
	_ = json.Unmarshal(answer, &said) // Teams says nothing
	if resp.StatusCode/100 != 2 || said.ErrCode != 0 || said.Code != 0 {
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &busyError{fmt.Errorf("the receiver answers %s: %s", resp.Status, answer), time.Duration(min(after, 3600)) * time.Second}
	}
	return nil
}

// busyError is a rejection with the time after which the receiver wants to be asked again.
type busyError struct {
	error
	after time.Duration
}

// mail sends the text with its first line as the subject.
func mail(ctx context.Context, password, text string) error {
	addr, from := os.Getenv("SMTP_ADDR"), os.Getenv("MAIL_FROM")
	to := strings.Split(os.Getenv("MAIL_TO"), ",")
	host, port, err := net.SplitHostPort(addr)
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
	if port == "465" { // TLS from the start
		conn = tls.Client(conn, &tls.Config{ServerName: host})
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
		if err := c.Auth(smtp.PlainAuth("", user, password, host)); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := recipients(c, to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	subject, _, _ := strings.Cut(text, "\n")
	fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@roomcall>\r\n", from, strings.Join(to, ", "),
		mime.QEncoding.Encode("utf-8", subject), time.Now().Format(time.RFC1123Z), rand.Text())
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

// recipients names those who get the mail. One that the server rejects for good is
// logged, so that the others get it.
func recipients(c *smtp.Client, to []string) error {
	var rejected error
	named := 0
	for _, one := range to {
		err := c.Rcpt(strings.TrimSpace(one))
		var said *textproto.Error
		switch {
		case err == nil:
			named++
		case errors.As(err, &said) && said.Code/100 == 5:
			rejected = errors.Join(rejected, fmt.Errorf("%s: %w", one, err))
		default:
			return err
		}
	}
	if named == 0 {
		return rejected
	}
	if rejected != nil {
		slog.Error("the mail server rejects a recipient", "err", rejected)
	}
	return nil
}
