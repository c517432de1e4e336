#!/usr/bin/env python3
"""A consumer with a session that waits: session.py HOST PORT FILE [--user U --password P] [--ca FILE]
Appends the id of each record that arrives to FILE, also of those that arrive again, and
acknowledges it after the write. Connects again by itself. Needs python3-paho-mqtt."""
import argparse, json, os, time
import paho.mqtt.client as mqtt

args = argparse.ArgumentParser()
for name in ("host", "port", "file", "--user", "--password", "--ca"):
    args.add_argument(name)
args = args.parse_args()
out = os.open(args.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def subscribe(client, _, flags, code, *__):
    print("connected:", code, flags, flush=True)
    client.subscribe([(f"roomcall/v1/+/+/{kind}", 1) for kind in ("sample", "stream", "event", "call", "minute")])

def keep(client, _, message):
    os.write(out, json.loads(message.payload)["id"].encode() + b"\n")

version = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION1} if hasattr(mqtt, "CallbackAPIVersion") else {}
client = mqtt.Client(**version, client_id="session", clean_session=False)
client.on_connect, client.on_message = subscribe, keep
client.on_subscribe = lambda *granted: print("subscribed:", *granted[3:4], flush=True)
client.reconnect_delay_set(1, 1)
if args.user:
    client.username_pw_set(args.user, args.password)
if args.ca:
    client.tls_set(args.ca)
while True:
    try:
        client.connect(args.host, int(args.port))
        break
    except OSError as err:
        print(err, flush=True)
        time.sleep(0.5)
client.loop_forever(retry_first_connection=True)
