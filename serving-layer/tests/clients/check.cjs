// node-postgres against a server with the tests' pipeline: `NODE_PATH=.. node check.cjs PORT`.
const assert = require("node:assert");
const { Client } = require("pg");

async function main(port) {
  const client = new Client({ host: "127.0.0.1", port, user: "dovetail", database: "dovetail" });
  await client.connect();
  const rows = async (text, values) => (await client.query({ text, values, rowMode: "array" })).rows;
  const types =
    "SELECT arrow_cast(-5, 'Int8'), arrow_cast('inf', 'Float64'), CAST(-1.50 AS DECIMAL(12, 2)), ARRAY['', 'NULL', NULL], " +
    "DATE '2026-03-01' = $1, INTERVAL '1 day', TIMESTAMP '2026-03-01 12:34:56.5', NULL";
  const [row] = await rows(types, ["2026-03-01"]);
  assert.deepEqual(row.slice(0, 5), [-5, Infinity, "-1.50", ["", "NULL", null], true]);
  assert.equal(row[5].days, 1);
  assert.equal(row[6].getTime(), new Date(2026, 2, 1, 12, 34, 56, 500).getTime());
  assert.equal(row[7], null);
  assert.deepEqual(await rows("SELECT page FROM by_page ORDER BY page LIMIT $1 OFFSET $2", [1, 1]), [["/b"]]);
  // Everything is sent as text and the server says what it is.
  const one = "(VALUES ('a', CAST(1.50 AS DECIMAL(12, 2)), arrow_cast(7, 'Int8'), TIMESTAMP '2026-03-01 12:00:00')) AS r(s, n, i, ts)";
  for (const [condition, value, found] of [
    ["n = $1", 1.5, 1],
    ["n = $1", "1.501", 0],
    ["i = $1", 7, 1],
    ["s = ANY($1)", ["a", ""], 1],
    ["s = ANY($1)", ["NULL"], 0],
    ["ts > $1", "2026-03-01", 1],
    ["ts > TIMESTAMP '2026-03-02' - $1::interval", "1 day", 1],
  ]) {
    assert.equal((await rows(`SELECT s FROM ${one} WHERE ${condition}`, [value])).length, found, condition);
  }
  for (let i = 0; i < 3; i++) {
    const named = { name: "by", text: "SELECT clicks FROM by_page WHERE page = $1", values: ["/a"] };
    assert.deepEqual((await client.query(named)).rows, [{ clicks: "2" }]);
  }
  await client.query("BEGIN");
  await client.query("SAVEPOINT s");
  await assert.rejects(client.query("SELECT 1/0"), { code: "22012" });
  await client.query("ROLLBACK TO SAVEPOINT s");
  assert.deepEqual(await rows("SELECT 1"), [["1"]]);
  await client.query("COMMIT");
  await client.end();
  console.log("node-postgres: ok");
}

setTimeout(() => {
  console.error("node-postgres: no answer in 60 s");
  process.exit(1);
}, 60_000).unref();
main(Number(process.argv[2])).catch((error) => {
  console.error(error);
  process.exit(1);
});
