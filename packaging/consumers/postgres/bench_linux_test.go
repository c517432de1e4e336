package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/jackc/pgx/v5"

	"roomcall/packaging/consumers/postgres/rows"
)

// BenchmarkConsume reads b.N records that wait at the broker into the database, as this
// program does (unnest) and with one insert a record, as it once did (rows): records/s from the
// connection to the last commit, and the CPU time of 1,000 records by process.
// packaging/scripts/scale/postgres.sh sets what it needs: BROKER_URL, DATABASE_URL (or
// PG*), RECORDS (a file of records), and PROCESSES, such as "postgres=17 broker=18":
// those whose CPU time counts.
func BenchmarkConsume(b *testing.B) {
	if os.Getenv("RECORDS") == "" {
		b.Skip("packaging/scripts/scale/postgres.sh runs this")
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	for _, way := range []struct {
		name  string
		write writer
	}{{"rows", writeRows}, {"unnest", rows.Write}} {
		b.Run(way.name, func(b *testing.B) { consume(b, way.name, way.write) })
	}
}

func consume(b *testing.B, name string, write writer) {
	b.Setenv("MQTT_CLIENT_ID", "bench-"+name)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	db := emptied(b)
	waiting(b, fleet(b, b.N))
	before := cpu(b)
	left, commits := b.N, 0
	var after map[string]float64 // while the database's process is still there
	b.ResetTimer()
	err := run(ctx, func(ctx context.Context, db *pgx.Conn, list []rows.Message) error {
		err := write(ctx, db, list)
		commits++
		if left -= len(list); err == nil && left <= 0 {
			after = cpu(b)
			cancel()
		}
		return err
	})
	b.StopTimer()
	if ctx.Err() == nil {
		b.Fatal(err)
	}
	var stored int
	if err := db.QueryRow(b.Context(), "select (select count(*) from sample) + (select count(*) from stream) + (select count(*) from minute)").Scan(&stored); err != nil {
		b.Fatal(err)
	}
	if stored != b.N {
		b.Fatalf("%d rows of %d records", stored, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(b.N)/float64(commits), "records/commit")
	for name, used := range after {
		b.ReportMetric((used-before[name])*1e6/float64(b.N), name+"-ms/1000")
	}
}

// writeRows is the old way: a statement a record.
func writeRows(ctx context.Context, db *pgx.Conn, list []rows.Message) error {
	var batch pgx.Batch
	for _, m := range list {
		var record struct{ ID string }
		if err := json.Unmarshal(m.Payload, &record); err != nil {
			return err
		}
		batch.Queue("insert into "+filepath.Base(m.Topic)+" (id, doc) values ($1, $2) on conflict (id) do update set doc = excluded.doc", record.ID, string(m.Payload))
	}
	return db.SendBatch(ctx, &batch).Close()
}

func emptied(b *testing.B) *pgx.Conn {
	db, err := pgx.Connect(b.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close(context.Background()) })
	if _, err := db.Exec(b.Context(), "truncate sample, stream, event, call, minute; checkpoint"); err != nil {
		b.Fatal(err)
	}
	return db
}

// fleet makes n records of 1,000 rooms in a call, from the file's: a sample and five
// streams a poll, and a minute every twelve polls.
func fleet(b *testing.B, n int) (list []record) {
	templates := map[string][]map[string]any{}
	f, err := os.Open(os.Getenv("RECORDS"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var doc map[string]any
		if err := json.Unmarshal(lines.Bytes(), &doc); err != nil {
			b.Fatal(err)
		}
		kind := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(doc["schema"]), "roomcall."), "/1.0")
		if doc["call_id"] != nil && len(templates[kind]) < 500 {
			templates[kind] = append(templates[kind], doc)
		}
	}
	const rooms = 1000
	seq := map[string]int{}
	for poll := 0; len(list) < n; poll++ {
		room, at := poll%rooms, time.Unix(1772450000+int64(5*(poll/rooms)), 0)
		kinds := []string{"sample", "stream", "stream", "stream", "stream", "stream"}
		if poll/rooms%12 == 11 {
			kinds = append(kinds, "minute")
		}
		for _, kind := range kinds {
			client := fmt.Sprintf("pc-%d", room)
			key := client + kind
			seq[key]++
			doc := templates[kind][(seq[key]+room)%len(templates[kind])]
			doc["client_id"], doc["device"], doc["seq"], doc["ts_ms"] = client, "hub", seq[key], at.UnixMilli()
			doc["id"] = fmt.Sprintf("%s.%d.hub.%s.%d", client, int64(doc["epoch"].(float64)), kind, seq[key])
			doc["call_id"] = fmt.Sprintf("%s.%d.hub.%d", client, int64(doc["epoch"].(float64)), 1772450000)
			payload, err := json.Marshal(doc)
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, record{"roomcall/v1/" + client + "/hub/" + kind, payload})
		}
	}
	return list[:n]
}

type record struct {
	topic   string
	payload []byte
}

// waiting leaves the records at the broker, in the session of the consumer.
func waiting(b *testing.B, list []record) {
	session, err := subscribe(b.Context(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	session.Disconnect(100)
	publisher := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(os.Getenv("BROKER_URL")).SetClientID("bench"))
	if err := settled(publisher.Connect()); err != nil {
		b.Fatal(err)
	}
	defer publisher.Disconnect(100)
	var sent []mqtt.Token
	for i, r := range list {
		sent = append(sent, publisher.Publish(r.topic, 1, false, r.payload))
		if i >= 1000 {
			sent[i-1000].Wait()
		}
	}
	for _, t := range sent {
		if err := settled(t); err != nil {
			b.Fatal(err)
		}
	}
}

// cpu is the CPU time in seconds of this process and of PROCESSES with their children.
func cpu(b *testing.B) map[string]float64 {
	names := map[string]string{strconv.Itoa(os.Getpid()): "consumer"}
	for pair := range strings.FieldsSeq(os.Getenv("PROCESSES")) {
		name, id, _ := strings.Cut(pair, "=")
		names[id] = name
	}
	used := map[string]float64{}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		id := filepath.Base(filepath.Dir(file))
		_, after, _ := strings.Cut(string(data), ") ")
		field := strings.Fields(after) // from the third of proc(5) on
		name := cmp.Or(names[id], names[field[1]])
		if name == "" {
			continue
		}
		for _, ticks := range field[11:15] { // its own, and its ended children's
			n, _ := strconv.ParseFloat(ticks, 64)
			used[name] += n / 100
		}
	}
	return used
}
