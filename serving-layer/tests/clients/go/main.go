// pgx and lib/pq against a server with the tests' pipeline: `go run . PORT`.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"
)

const row = `(VALUES ('a', CAST(1.50 AS DECIMAL(12, 2)), arrow_cast(7, 'Int8'), TIMESTAMP '2026-03-01 12:00:00')) AS r(s, n, i, ts)`

func must(err error, what string) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
}

func equal(found, expected any, what string) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("%s: found %v, expected %v", what, found, expected))
	}
}

func checkPgx(url string, mode pgx.QueryExecMode) {
	ctx := context.Background()
	config, err := pgx.ParseConfig(url)
	must(err, "config")
	config.DefaultQueryExecMode = mode
	connection, err := pgx.ConnectConfig(ctx, config)
	must(err, "connect")
	defer connection.Close(ctx)
	var i int16
	var f float64
	var texts []*string
	var ts time.Time
	var nothing *int32
	types := `SELECT arrow_cast(-5, 'Int8'), arrow_cast('inf', 'Float64'), ARRAY['', 'NULL', NULL], TIMESTAMP '2026-03-01 12:34:56.5', CAST(NULL AS INT)`
	must(connection.QueryRow(ctx, types).Scan(&i, &f, &texts, &ts, &nothing), "types")
	equal(i, int16(-5), "tinyint")
	equal(f, math.Inf(1), "inf")
	equal([]any{*texts[0], *texts[1], texts[2] == nil}, []any{"", "NULL", true}, "array")
	equal(ts, time.Date(2026, 3, 1, 12, 34, 56, 500000000, time.UTC), "timestamp")
	var page string
	must(connection.QueryRow(ctx, "SELECT page FROM by_page ORDER BY page LIMIT $1 OFFSET $2", 1, 1).Scan(&page), "limit")
	equal(page, "/b", "limit")
	for _, c := range []struct {
		condition string
		value     any
		found     int64
	}{
		{"n = $1", 1.5, 1},
		{"n > $1", 1, 1},
		{"i = $1", 7, 1},
		{"ts > $1", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), 1},
		{"s = ANY($1)", []string{"a", ""}, 1},
		{"s = ANY($1)", []string{"NULL"}, 0},
		{"ts > TIMESTAMP '2026-03-02' - $1::interval", 24 * time.Hour, 1},
	} {
		// Then the values stand in the statement's text.
		if mode == pgx.QueryExecModeSimpleProtocol && strings.Contains(c.condition, "ANY") {
			continue
		}
		var found int64
		must(connection.QueryRow(ctx, "SELECT count(*) FROM "+row+" WHERE "+c.condition, c.value).Scan(&found), c.condition)
		equal(found, c.found, c.condition)
	}
	transaction, err := connection.Begin(ctx)
	must(err, "begin")
	nested, err := transaction.Begin(ctx)
	must(err, "savepoint")
	if _, err := nested.Exec(ctx, "SELECT 1/0"); err == nil {
		panic("a division by zero was answered")
	}
	must(nested.Rollback(ctx), "rollback to")
	_, err = transaction.Exec(ctx, "SELECT 1")
	must(err, "after the savepoint")
	must(transaction.Commit(ctx), "commit")
}

func checkPq(url string) {
	database, err := sql.Open("postgres", url+"?sslmode=disable")
	must(err, "open")
	defer database.Close()
	var i int16
	var f float64
	var texts []sql.NullString
	types := `SELECT arrow_cast(-5, 'Int8'), arrow_cast('inf', 'Float64'), ARRAY['', 'NULL', NULL]`
	must(database.QueryRow(types).Scan(&i, &f, pq.Array(&texts)), "types")
	equal([]any{i, f}, []any{int16(-5), math.Inf(1)}, "numbers")
	equal(texts, []sql.NullString{{String: "", Valid: true}, {String: "NULL", Valid: true}, {}}, "array")
	for _, c := range []struct {
		condition string
		value     any
		found     int64
	}{
		{"n = $1", 1.5, 1},
		{"i = $1", 7, 1},
		{"ts > $1", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), 1},
		{"s = ANY($1)", pq.Array([]string{"a", ""}), 1},
		{"s = ANY($1)", pq.Array([]string{"NULL"}), 0},
	} {
		var found int64
		must(database.QueryRow("SELECT count(*) FROM "+row+" WHERE "+c.condition, c.value).Scan(&found), c.condition)
		equal(found, c.found, c.condition)
	}
	var page string
	must(database.QueryRow("SELECT page FROM by_page ORDER BY page LIMIT $1", 1).Scan(&page), "limit")
	equal(page, "/a", "limit")
}

func main() {
	// With where it waits.
	time.AfterFunc(time.Minute, func() { debug.SetTraceback("all"); panic("no answer in 60 s") })
	url := "postgres://dovetail@127.0.0.1:" + os.Args[1] + "/dovetail"
	checkPgx(url, pgx.QueryExecModeCacheStatement)
	checkPgx(url, pgx.QueryExecModeDescribeExec)
	checkPgx(url, pgx.QueryExecModeExec)
	checkPgx(url, pgx.QueryExecModeSimpleProtocol)
	checkPq(url)
	fmt.Println("pgx and lib/pq: ok")
}
