// A receiver of alerts for try.sh: node receiver.mjs OUT. It accepts what Teams, DingTalk,
// WeCom, Feishu (by HTTP) and a mail server would accept, and checks body and signature. At
// first it fails in the ways of faults, one a message, because that has to come again, and
// does not get beyond the first one until the file OUT.open is there. It prints its two ports, and writes each accepted message to OUT as {"to", "text"}.
import { appendFileSync, existsSync } from "node:fs";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createMailServer } from "node:net";
import assert from "node:assert/strict";

const out = process.argv[2];
const accept = (to, text) => appendFileSync(out, JSON.stringify({ to, text }) + "\n");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest("base64");
// A status with headers and an answer; null is no answer at all.
const faults = {
  teams: [[502, {}, "Bad Gateway"], [429, { "retry-after": "9" }, ""]],
  dingtalk: [[200, {}, '{"errcode":130101,"errmsg":"send too fast"}']],
  wecom: [[200, {}, '{"errcode":45009,"errmsg":"api freq out of limit"}'], null],
  feishu: [[200, {}, '{"code":11232,"msg":"too many request"}'], [500, {}, ""]],
  mail: ["451 try again later", "421 closing"],
};
const fault = (to) => existsSync(`${out}.open`) ? faults[to].shift() : faults[to][0];
const early = {}; // until when a message of each is too early
const pause = (to, s) => { early[to] = Date.now() + s * 1000; };

const receivers = {
  teams({ type, attachments: [{ contentType, content }] }) {
    assert.equal(type, "message");
    assert.equal(contentType, "application/vnd.microsoft.card.adaptive");
    assert.equal(content.type, "AdaptiveCard");
    return content.body[0].text;
  },
  dingtalk({ msgtype, text }, query) {
    const at = query.get("timestamp");
    assert(Math.abs(Date.now() - Number(at)) < 3600e3);
    assert.equal(query.get("sign"), hmac("key of dingtalk", `${at}\nkey of dingtalk`));
    assert.equal(msgtype, "text");
    return text.content;
  },
  wecom({ msgtype, text }) {
    assert.equal(msgtype, "text");
    assert(Buffer.byteLength(text.content) <= 2048);
    return text.content;
  },
  feishu({ msg_type, content, timestamp, sign }) {
    assert(Math.abs(Date.now() / 1000 - Number(timestamp)) < 3600);
    assert.equal(sign, hmac(`${timestamp}\nkey of feishu`, ""));
    assert.equal(msg_type, "text");
    return content.text;
  },
};
const web = createServer(async (req, res) => {
  const { pathname, searchParams } = new URL(req.url, "http://receiver");
  const to = pathname.slice(1);
  let body = "";
  for await (const part of req) body += part;
  try {
    assert.match(req.headers["content-type"], /^application\/json/);
    const text = receivers[to](JSON.parse(body), searchParams);
    assert(!(Date.now() < early[to]), "too early");
    pause(to, 4);
    if (faults[to].length) {
      const answer = fault(to);
      if (!answer) return; // and the client waits
      pause(to, answer[1]["retry-after"] ?? 4);
      return res.writeHead(answer[0], answer[1]).end(answer[2]);
    }
    accept(to, text);
    res.end(to === "teams" ? "" : to === "feishu" ? '{"code":0,"msg":"success"}' : '{"errcode":0,"errmsg":"ok"}');
  } catch (err) {
    console.error(`${to}: ${err.message}: ${body}`);
    res.writeHead(400).end();
  }
}).listen(0, "127.0.0.1", () => console.log(`web ${web.address().port}`));

function decodeMail(text) {
  const [head, body] = text.split("\r\n\r\n");
  assert.match(head, /^Content-Transfer-Encoding: quoted-printable$/m);
  assert.match(head, /^Subject: =\?utf-8\?q\?/m);
  const bytes = body.replaceAll("=\r\n", "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8").trim();
}

const post = createMailServer((socket) => {
  let text = "", data = false;
  const say = (line) => socket.write(`${line}\r\n`);
  if (faults.mail[0]?.startsWith("421")) {
    say(fault("mail"));
    return socket.end();
  }
  say("220 receiver");
  socket.on("error", () => {});
  socket.on("data", (part) => {
    text += part;
    for (let end; (end = text.indexOf(data ? "\r\n.\r\n" : "\r\n")) >= 0;) {
      const line = text.slice(0, end);
      text = text.slice(end + (data ? 5 : 2));
      if (data) {
        data = false;
        accept("mail", decodeMail(line));
        say("250 accepted");
      } else if (/^RCPT/.test(line) && faults.mail.length) say(fault("mail"));
      else if (/^RCPT.*left-the-company/.test(line)) say("550 no such user");
      else if (/^DATA/.test(line)) { data = true; say("354 go on"); }
      else if (/^QUIT/.test(line)) { say("221 bye"); socket.end(); }
      else say("250 ok");
    }
  });
}).listen(0, "127.0.0.1", () => console.log(`mail ${post.address().port}`));
