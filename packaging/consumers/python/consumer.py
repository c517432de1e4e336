#!/usr/bin/env python3
"""Keeps roomcall's records in an SQLite file, each once: consumer.py BROKER_URL FILE
Needs python3-paho-mqtt. The broker gets its acknowledgement after the commit."""
import json, os, sqlite3, sys
from urllib.parse import urlsplit
import paho.mqtt.client as mqtt

url, db = urlsplit(sys.argv[1]), sqlite3.connect(sys.argv[2])  # tcp://HOST:1883, tls://HOST:8883
db.execute("create table if not exists record (id text primary key, kind text, ts_ms integer, doc text)")

def subscribe(client, *_):
    client.subscribe([(f"roomcall/v1/+/+/{kind}", 1) for kind in ("sample", "event", "call", "minute")])

def keep(client, _, message):
    try:
        doc = json.loads(message.payload)
        row = doc["id"], message.topic.split("/")[-1], doc["ts_ms"], message.payload.decode()
    except (ValueError, KeyError, TypeError) as err:
        return print(f"not a record, skipped: {message.topic}: {err!r}", file=sys.stderr)
    with db:  # commits, or ends the program without an acknowledgement
        db.execute("insert or ignore into record values (?, ?, ?, ?)", row)

version = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION2} if hasattr(mqtt, "CallbackAPIVersion") else {}
client = mqtt.Client(**version, client_id="roomcall-python", clean_session=False)  # a session that waits
client.on_connect, client.on_message = subscribe, keep
if user := os.environ.get("MQTT_USER"):
    client.username_pw_set(user, open(os.environ["MQTT_PASSWORD_FILE"]).readline().strip())
if url.scheme == "tls":
    client.tls_set()
client.connect(url.hostname, url.port or (8883 if url.scheme == "tls" else 1883))
client.loop_forever(retry_first_connection=True)
