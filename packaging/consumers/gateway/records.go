package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxRecords bounds what one request may read of the database. A sample takes about 400 bytes of memory
// while it is summed up.
const maxRecords = 3_000_000

var errTooMany = fmt.Errorf("more than %d records: ask for a shorter time", maxRecords)

// question says which records a request needs.
type question struct {
	call        string    // those of one call, else
	since, till time.Time // those of a time; zero = open
	what        what
}

// what is the kind of records that a request needs of a time.
type what int

const (
	samples what = iota // samples in a call
	calls               // calls that were going on, finished or not
	starts              // calls that began
)

// source has records.
type source interface {
	// read hands the records to the reader, one a line; those of other calls or times may
	// be among them.
	read(ctx context.Context, q question) (io.ReadCloser, error)
}

// fileRecords is a file with a record a line.
type fileRecords string

func (f fileRecords) read(context.Context, question) (io.ReadCloser, error) {
	return os.Open(string(f))
}

// database has the tables of ../postgres/schema.sql.
type database struct{ pool *pgxpool.Pool }

func openDatabase(ctx context.Context, url string) (*database, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database: %w", err)
	}
	return &database{pool}, nil
}

// The records of one call. A minute may hold two calls, so the call's samples speak for
// it; its own record does where they were deleted.
const ofCall = `
select doc::text from sample where call_id = $1
union all select doc::text from stream where call_id = $1
union all select doc::text from event where call_id = $1
union all select doc::text from call where call_id = $1
union all select doc::text from minute m where call_id = $1 and client_id = split_part($1, '.', 1) and device = split_part($1, '.', 3)
  and not exists (select from sample s where s.call_id = $1 and s.ts >= m.started and s.ts < m.started + interval '1 minute')`

// The samples in calls of a time, and the calls that they belong to, each with its
// neighbours before and after that time: they say that it was going on all along.
const samplesOf = `
with going as (
  select call_id from call where started < $2 and ended >= $1
  union select call_id from sample where call_id is not null and ts >= $1 and ts < $2)
select doc::text from sample where call_id is not null and ts >= $1 and ts < $2
union all select doc::text from call where started < $2 and ended >= $1
union all select near.doc from going, lateral (
  (select doc::text from sample s where s.call_id = going.call_id and s.ts < $1 order by s.ts desc limit 1)
  union all (select doc::text from sample s where s.call_id = going.call_id and s.ts >= $2 order by s.ts limit 1)) as near`

// The calls of a time: their records, and for those that run, their events and the last
// sample.
const callsOf = `
select doc::text from call where started < $2 and ended >= $1
union all select doc::text from event e where call_id is not null and ts < $2 and ts >= $1::timestamptz - interval '2 days'
  and not exists (select from call c where c.call_id = e.call_id)
union all select newest.doc from (
  select distinct call_id from sample s where call_id is not null and ts >= $1 and ts < $2
    and not exists (select from call c where c.call_id = s.call_id)) as running, lateral (
  select doc::text from sample s where s.call_id = running.call_id order by s.ts desc limit 1) as newest`

// The calls that began in a time.
const startsOf = `
select doc::text from call where started >= $1 and started < $2
union all select doc::text from event e where type = 'call.started' and ts >= $1 and ts < $2
  and not exists (select from call c where c.call_id = e.call_id)
union all (select distinct on (date_trunc('day', ts, 'UTC')) doc::text from minute where started >= $1 and started < $2)`

func (d *database) read(ctx context.Context, q question) (io.ReadCloser, error) {
	var rows pgx.Rows
	var err error
	if q.call != "" {
		rows, err = d.pool.Query(ctx, ofCall, q.call)
	} else {
		since, till := q.since, q.till
		if since.IsZero() {
			since = time.Unix(0, 0)
		}
		if till.IsZero() {
			till = time.Now()
		}
		rows, err = d.pool.Query(ctx, map[what]string{samples: samplesOf, calls: callsOf, starts: startsOf}[q.what], since, till.Add(time.Second))
	}
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(copyRows(w, rows)) }()
	return r, nil
}

// copyRows ends with the rows, or when nobody reads on.
func copyRows(w io.Writer, rows pgx.Rows) error {
	defer rows.Close()
	out := bufio.NewWriterSize(w, 64<<10)
	for n := 0; rows.Next(); n++ {
		if n == maxRecords {
			return errTooMany
		}
		var doc string
		if err := rows.Scan(&doc); err != nil {
			return fmt.Errorf("database: %w", err)
		}
		if _, err := out.WriteString(doc + "\n"); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return out.Flush()
}
