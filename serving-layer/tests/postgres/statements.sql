SELECT g, count(*), sum(x), avg(x) FROM v GROUP BY g ORDER BY g NULLS FIRST
SELECT g, count(*) FROM v GROUP BY g ORDER BY g
SELECT g FROM v ORDER BY g DESC
SELECT id FROM v WHERE t LIKE 'a%'
SELECT id FROM v WHERE t ILIKE 'ALPHA'
SELECT id FROM v WHERE t LIKE '%\%'
SELECT id FROM v WHERE t LIKE '%!%' ESCAPE '!'
SELECT id FROM v WHERE t NOT LIKE 'A%'
SELECT id FROM v WHERE t SIMILAR TO 'A%'
SELECT id FROM v WHERE t ~ '^a'
SELECT id FROM v WHERE t ~* '^a'
SELECT id FROM v WHERE t !~ 'a'
SELECT id FROM v WHERE t = ANY(ARRAY['','Alpha'])
SELECT id FROM v WHERE t = ANY('{"",Alpha}')
SELECT id FROM v WHERE t = ANY('{"","beta%"}'::text[])
SELECT id FROM v WHERE NOT (x = ANY('{2,NULL}'::int[]))
SELECT id FROM v WHERE x <> ALL('{2,5}'::int[])
SELECT id FROM v WHERE x <> ALL(ARRAY[2,5])
SELECT id FROM v WHERE 1 = ANY(ar)
SELECT id FROM v WHERE NOT (1 = ANY(ar))
SELECT id FROM v WHERE 1 <> ALL(ar)
SELECT id FROM v WHERE x > ANY(ARRAY[0,10])
SELECT '{a,"b,c",NULL,"NULL",""}'::text[]
SELECT array_length('{a,"b,c",NULL,"NULL",""}'::text[],1)
SELECT '{}'::int[]
SELECT '{{1,2},{3,4}}'::int[]
SELECT ARRAY[1,2] || 3
SELECT ar || 9::bigint FROM v WHERE id=1
SELECT id FROM v WHERE ar @> ARRAY[1]::bigint[]
SELECT id FROM v WHERE ar && ARRAY[5,3]::bigint[]
SELECT ar[1:1] FROM v WHERE id=1
SELECT array_length(ar,1), cardinality(ar) FROM v ORDER BY id
SELECT array_position(ar, 2) FROM v ORDER BY id
SELECT array_to_string(ar, ',', '*') FROM v ORDER BY id
SELECT array_agg(x ORDER BY id) FROM v
SELECT string_agg(t, ',' ORDER BY id) FROM v WHERE id IN (1,3,4)
SELECT id FROM v WHERE "by" = '\x00ff'::bytea
SELECT "by" FROM v ORDER BY id
SELECT encode("by",'hex') FROM v ORDER BY id
SELECT x/2, x%2, -x/2 FROM v ORDER BY id
SELECT 7/2, -7/2, 7%-2, -7%2
SELECT 7.0/2, 10/4.0
SELECT n/3 FROM v ORDER BY id
SELECT n*n FROM v ORDER BY id
SELECT round(n,1), round(2.5), round(-2.5), round(0.5::float8), round(1.5::float8), round(2.5::float8)
SELECT round(n) FROM v ORDER BY id
SELECT ceil(-1.5), floor(-1.5), trunc(-1.5), sign(-3), abs(-3)
SELECT power(2,10), sqrt(16), exp(0), ln(1), log(100), log(2,8)
SELECT mod(-7,3), mod(7,-3)
SELECT 5 = 5.0, '5' = 5, 1 < 2.5
SELECT cast(2.5 as int), cast(3.5 as int), cast(-2.5 as int), 2.7::int
SELECT '12'::int, ' 12 '::int, '1e3'::float8
SELECT 'abc'::int
SELECT ''::int
SELECT true::text, false::text
SELECT bo::text FROM v ORDER BY id
SELECT 1::text || 'a', 1.50::text, 1e20::float8::text, 0.1::float8::text
SELECT n::text FROM v ORDER BY id
SELECT ts::text FROM v ORDER BY id
SELECT dt::text FROM v ORDER BY id
SELECT date_trunc('week', ts), date_trunc('quarter', ts) FROM v ORDER BY id
SELECT date_trunc('day', dt) FROM v WHERE id=1
SELECT date_bin('15 minutes', ts, TIMESTAMP '2000-01-01') FROM v ORDER BY id
SELECT extract(dow from ts), extract(isodow from ts), extract(week from ts), extract(doy from ts), extract(quarter from ts) FROM v ORDER BY id
SELECT extract(epoch from ts) FROM v ORDER BY id
SELECT extract(second from ts), extract(millisecond from ts), extract(hour from ts) FROM v ORDER BY id
SELECT extract(year from ts)::int FROM v WHERE id=1
SELECT ts + interval '1 month' FROM v ORDER BY id
SELECT dt + interval '1 month' FROM v ORDER BY id
SELECT dt - DATE '2024-01-01' FROM v WHERE id=2
SELECT ts - TIMESTAMP '2026-01-01' FROM v WHERE id=1
SELECT ts - interval '1 year 2 months 3 days' FROM v WHERE id=1
SELECT interval '1 day' + interval '2 hours'
SELECT interval '1 day' * 3
SELECT interval '1 month' > interval '29 days'
SELECT to_char(ts, 'YYYY-MM-DD HH24:MI:SS') FROM v ORDER BY id
SELECT to_char(n, 'FM999,999.00') FROM v WHERE id=5
SELECT to_date('2026-03-01','YYYY-MM-DD')
SELECT to_timestamp(1772360430)
SELECT make_date(2026,3,1), make_timestamp(2026,3,1,10,0,0)
SELECT TIMESTAMP '2026-03-01 10:00:00' AT TIME ZONE 'America/New_York'
SELECT '2026-03-01 10:00:00+02'::timestamptz
SELECT TIMESTAMPTZ '2026-03-08 02:30:00 America/New_York'
SELECT CURRENT_DATE = now()::date
SELECT id FROM v WHERE ts >= '2026-03-01' ORDER BY id
SELECT id FROM v WHERE ts::date = '2026-03-01'
SELECT id FROM v WHERE dt = '2026-03-01'
SELECT coalesce(g,'?'), nullif(x,2), greatest(x,b), least(x,b,NULL) FROM v ORDER BY id
SELECT CASE WHEN x > 1 THEN 'hi' WHEN x IS NULL THEN 'null' ELSE 'lo' END FROM v ORDER BY id
SELECT CASE x WHEN 2 THEN 'two' ELSE 'other' END FROM v ORDER BY id
SELECT g || x FROM v ORDER BY id
SELECT g || NULL FROM v ORDER BY id
SELECT upper(t), lower(t), initcap(t), length(t), reverse(t) FROM v ORDER BY id
SELECT substr(t,0,3), substr(t,-1,4), substring(t,2), substring(t from 2 for 2) FROM v ORDER BY id
SELECT substring(t from '[a-z]+') FROM v ORDER BY id
SELECT split_part('a,b,c',',',2), split_part('a,b,c',',',-1), split_part('abc',',',2)
SELECT lpad('7',3,'0'), rpad('abc',2), lpad('abc',2)
SELECT trim('  x '), ltrim('xxa','x'), trim(both 'x' from 'xax'), btrim('xyaxy','xy')
SELECT replace(t,'a','') FROM v ORDER BY id
SELECT regexp_replace('foobar','o','0'), regexp_replace('foobar','o','0','g'), regexp_replace('abc','(b)','[\1]')
SELECT regexp_match('foo123','([0-9]+)')
SELECT regexp_count('banana','a')
SELECT md5('a'), encode(sha256('a'),'hex')
SELECT starts_with('abc','ab'), 'abc' ^@ 'ab'
SELECT overlay('abcdef' placing 'XX' from 2 for 3)
SELECT 'a' < 'B', 'a' COLLATE "C" < 'B'
SELECT E'a\nb', 'a\nb', U&'\00e9'
SELECT $$dollar$$
SELECT sum(b) FROM v
SELECT sum(x), sum(d), sum(n) FROM v WHERE id > 100
SELECT count(*) FROM v WHERE x = NULL
SELECT bool_and(bo), bool_or(bo), every(bo) FROM v
SELECT bit_and(x), bit_or(x) FROM v
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x), percentile_disc(0.5) WITHIN GROUP (ORDER BY x) FROM v
SELECT corr(x,b), regr_slope(x,d), covar_pop(x,d) FROM v WHERE id<>5
SELECT g, sum(x) FROM v GROUP BY ROLLUP(g) ORDER BY g NULLS FIRST, 2
SELECT g, bo, count(*) FROM v GROUP BY GROUPING SETS ((g),(bo),()) ORDER BY 1,2,3
SELECT g, count(*) FROM v GROUP BY 1 HAVING count(*) > 1 ORDER BY 1
SELECT count(*) FROM v GROUP BY ()
SELECT DISTINCT g FROM v ORDER BY g
SELECT id, row_number() OVER (PARTITION BY g ORDER BY id), rank() OVER (ORDER BY x), lag(x) OVER (ORDER BY id), sum(x) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, sum(x) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), first_value(x) OVER (ORDER BY id), ntile(3) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id FROM v ORDER BY x NULLS LAST, id LIMIT 3
SELECT id FROM v ORDER BY id OFFSET 5
SELECT id FROM v ORDER BY id FETCH FIRST 2 ROWS ONLY
SELECT a.id, b.id FROM v a JOIN v b ON a.g=b.g AND a.id<b.id ORDER BY 1,2
SELECT a.id, b.id FROM v a FULL JOIN v b ON a.x=b.id ORDER BY 1,2
SELECT id FROM v WHERE EXISTS (SELECT 1 FROM v w WHERE w.x = v.id) ORDER BY id
SELECT id FROM v WHERE x IN (SELECT id FROM v) ORDER BY id
SELECT id FROM v WHERE x NOT IN (SELECT x FROM v WHERE id IN (1,3)) ORDER BY id
SELECT (SELECT max(x) FROM v w WHERE w.g = v.g) FROM v ORDER BY id
SELECT id, (SELECT count(*) FROM v w WHERE w.id < v.id) FROM v ORDER BY id
SELECT s FROM unnest(ARRAY['a','b']) s
SELECT u.x FROM unnest(ARRAY[1,2]) AS u(x)
SELECT id, u FROM v, unnest(ar) AS u ORDER BY 1,2
SELECT id, unnest(ar) FROM v ORDER BY 1,2
SELECT * FROM generate_series(1,3)
SELECT g FROM generate_series(1,3) g
SELECT * FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-03', interval '1 day')
SELECT d::date FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-03', interval '1 day') d
SELECT d::date, count(v.id) FROM generate_series(DATE '2026-02-28', DATE '2026-03-02', interval '1 day') d LEFT JOIN v ON v.dt = d::date GROUP BY 1 ORDER BY 1
SELECT x, x IS DISTINCT FROM 2, x IS NOT DISTINCT FROM NULL FROM v ORDER BY id
SELECT NULL AND false, NULL OR true, NOT NULL
SELECT (1,2) = (1,2), (1,NULL) IS NULL
SELECT id FROM v WHERE (id, x) > (3, 0) ORDER BY id
SELECT id FROM v WHERE bo ORDER BY id
SELECT id FROM v WHERE bo IS TRUE ORDER BY id
SELECT id FROM v WHERE bo IS UNKNOWN
SELECT id FROM v WHERE bo = 't' ORDER BY id
SELECT id FROM v WHERE x BETWEEN SYMMETRIC 5 AND 1 ORDER BY id
SELECT d = 0.3, d FROM v WHERE id=7
SELECT n = 0.1, d = 0.1 FROM v WHERE id=6
SELECT id FROM v WHERE d = 0.1
SELECT id FROM v WHERE b = 9007199254740993.0
SELECT id FROM v WHERE b > 9007199254740992.5
SELECT 9007199254740993::float8::bigint
SELECT 1e10, 1E2::int, 12345678901234567890
SELECT 9223372036854775807 + 1
SELECT 2147483647 + 1
SELECT x*1000000000 FROM v WHERE id=1
SELECT 32767::smallint + 1::smallint
SELECT -9223372036854775808
SELECT |/ 16, @ -5, 5 !=4
SELECT count(*), count(*) FROM v
SELECT id, id FROM v WHERE id=1
SELECT 1, 1, NULL, NULL
SELECT max(ts), min(ts), max(dt), max(t COLLATE "C"), min(bo::int) FROM v
WITH a AS (SELECT g, sum(x) s FROM v GROUP BY g), b AS (SELECT max(s) m FROM a) SELECT a.g FROM a, b WHERE a.s = b.m ORDER BY 1
SELECT x FROM v INTERSECT SELECT id FROM v ORDER BY 1
SELECT x FROM v EXCEPT ALL SELECT 2 ORDER BY 1
SELECT g, x FROM v UNION ALL SELECT 'z', NULL ORDER BY 1,2
SELECT pg_typeof(1), pg_typeof('a'::text)
SELECT current_database()
SELECT (ARRAY['x','y'])[2]
SELECT json_build_object('a',1)
SELECT '{"a":1}'::jsonb->>'a'
SELECT width_bucket(x, 0, 10, 5) FROM v ORDER BY id
SELECT random() < 1
SELECT to_hex(255), 'x'::bytea
SELECT format('%s-%s', 1, 'a')
SELECT string_to_array('abc', NULL)
SELECT array_remove(ARRAY[1,2,1],1), array_cat(ARRAY[1],ARRAY[2]), array_append(ARRAY[1],2)
SELECT isfinite(ts) FROM v WHERE id=1
SELECT localtimestamp > '2020-01-01', clock_timestamp() > '2020-01-01'
SELECT justify_days(interval '35 days')
SELECT interval '36 hours', interval '1 year 1 day', interval '-1 day'
SELECT date '2026-01-31' + interval '1 month'
SELECT timestamp '2026-03-31' - interval '1 month'
SELECT extract(days from timestamp '2026-03-01' - timestamp '2026-01-15')
SELECT date '2026-01-01' < timestamp '2026-01-01 00:00:01'
SELECT ts = dt FROM v WHERE id=5
SELECT sum(CASE WHEN bo THEN n ELSE 0 END) FROM v
SELECT 100.0 * count(*) FILTER (WHERE bo) / count(*) FROM v
SELECT round(100.0 * count(*) FILTER (WHERE bo) / count(*), 2) FROM v
SELECT avg(x)::numeric(10,2) FROM v
SELECT sum(x)/count(*) FROM v
SELECT count(*)*1.0/3 FROM v
SELECT n::int, n::bigint FROM v ORDER BY id
SELECT ' a'::char(3) || 'b', 'ab '::varchar || 'c'
SELECT length('a '::char(5)), length('é')
SELECT octet_length('é'), bit_length('é')
SELECT id, (SELECT max(w.x) FROM v w WHERE w.g = v.g) AS m FROM v ORDER BY id
SELECT (SELECT sum(v.x) FROM v) AS total
SELECT id, (SELECT w.t FROM v w WHERE w.id = v.id + 1) FROM v ORDER BY id
SELECT id, (SELECT w.t FROM v w WHERE w.g = v.g) FROM v ORDER BY id
SELECT id, (SELECT w.id FROM v w WHERE w.g = v.g ORDER BY w.id DESC LIMIT 1) FROM v ORDER BY id
SELECT (SELECT id FROM v)
SELECT (SELECT id FROM v WHERE id = 99)
SELECT (SELECT id FROM v WHERE id = 3)
SELECT id FROM v WHERE x = (SELECT x FROM v WHERE id > 3)
SELECT id FROM v WHERE x > (SELECT avg(w.x) FROM v w WHERE w.g = v.g) ORDER BY id
SELECT id FROM v o WHERE d = (SELECT w.d FROM v w WHERE w.id = o.id) ORDER BY id
SELECT id FROM v WHERE x >= ALL (SELECT x FROM v WHERE x IS NOT NULL)
SELECT id FROM v WHERE x = ANY (SELECT b FROM v) ORDER BY id
SELECT id FROM v WHERE NOT EXISTS (SELECT 1 FROM v w WHERE w.b = v.x) ORDER BY id
SELECT id, EXISTS (SELECT 1 FROM v w WHERE w.b = v.x) FROM v ORDER BY id
SELECT id, x IN (SELECT b FROM v WHERE b IS NOT NULL) FROM v ORDER BY id
SELECT id, (SELECT count(*) FROM v w WHERE w.g = v.g AND w.x > 0) FROM v ORDER BY id
SELECT id, coalesce((SELECT max(w.x) FROM v w WHERE w.g = v.g), -1) FROM v ORDER BY id
SELECT CASE WHEN (SELECT count(*) FROM v) > 3 THEN 'many' ELSE 'few' END
SELECT x FROM v EXCEPT ALL SELECT x FROM v WHERE id = 4 ORDER BY 1
SELECT x FROM v INTERSECT ALL SELECT x FROM v WHERE id IN (4, 5, 6) ORDER BY 1
SELECT g, x FROM v EXCEPT ALL SELECT g, x FROM v WHERE id < 3 ORDER BY 1, 2
SELECT g FROM v EXCEPT SELECT 'a' ORDER BY 1
SELECT g FROM v INTERSECT SELECT g FROM v WHERE id = 4
(SELECT x FROM v EXCEPT ALL SELECT 2) UNION ALL SELECT 100 ORDER BY 1
SELECT count(*) FROM (SELECT x FROM v EXCEPT ALL SELECT 2) q
WITH q AS (SELECT x FROM v) SELECT * FROM q EXCEPT ALL SELECT 2 ORDER BY 1
SELECT id FROM v WHERE x = ANY('{2,5}') ORDER BY id
SELECT id FROM v WHERE x <> ALL('{2,NULL}')
SELECT id FROM v WHERE x < ANY('{0,1}') ORDER BY id
SELECT id FROM v WHERE 2 <> ANY(ar) ORDER BY id
SELECT id FROM v WHERE 1 = ALL(ar) ORDER BY id
SELECT id FROM v WHERE 5 > ALL(ar) ORDER BY id
SELECT id FROM v WHERE t LIKE ANY(ARRAY['a%', 'b%']) ORDER BY id
SELECT 3 = ANY('{1,2,NULL}'::int[]), 1 = ANY('{1,NULL}'::int[]), 1 = ANY('{}'::int[]), 1 = ANY(NULL::int[]), 1 = ALL('{}'::int[])
SELECT 'a' = ANY('{a,"b c"}'), 'NULL' = ANY('{"NULL"}'), 'x' = ANY('{NULL}'), '' = ANY('{""}')
SELECT '{ a , b\,c , "d\"e" }'::text[]
SELECT '{1.5,2}'::numeric(4,1)[], '{2026-01-01}'::date[], '{t,f,NULL}'::bool[]
SELECT '{1,2'::int[]
SELECT '{a,,b}'::text[]
SELECT '{1,x}'::int[]
SELECT ('{"a","b"}'::text[])[2]
SELECT array_length(ARRAY[]::int[], 1), array_length(ARRAY[1], 1), cardinality(ARRAY[]::int[])
SELECT ARRAY['a b', 'c,d', NULL, '', 'null', 'q"q']
SELECT ARRAY[1,2]::text, ARRAY['x y']::text, ARRAY[true,NULL]::text
SELECT array_to_string('{a,NULL,b}'::text[], '-')
SELECT unnest(ARRAY['a','b']) s
SELECT s FROM (SELECT unnest(string_to_array('a,b', ',')) s) q
SELECT s FROM (SELECT unnest(string_to_array('a,b', ',')) s) q WHERE s <> 'a'
SELECT trim(s) FROM (SELECT unnest(string_to_array('a, b', ',')) AS s) q
SELECT u FROM unnest(ARRAY[1,2]) AS u WHERE u > 1
SELECT u.a, u.b FROM unnest(ARRAY[1,2], ARRAY['x','y']) AS u(a, b)
SELECT s FROM string_to_array('a,b', ',') s
SELECT s[1] FROM string_to_array('a,b', ',') s
SELECT i, s[i] FROM generate_series(1, 2) AS i, string_to_array('a,b', ',') s ORDER BY 1
SELECT lower FROM lower('ABC')
SELECT count(*), count(*), sum(x), sum(x) FROM v
SELECT id, id, x AS id FROM v WHERE id = 1
SELECT id, * FROM v WHERE id = 3
SELECT v.id, v.* FROM v WHERE id = 3
SELECT a.id, b.id FROM v a JOIN v b ON a.id = b.id ORDER BY b.id
SELECT * FROM (SELECT 1, 1) q
SELECT g, g FROM v UNION SELECT 'z', 'z' ORDER BY 1
SELECT id, id FROM v ORDER BY 2 DESC LIMIT 2
SELECT g, count(*), g, count(*) FROM v GROUP BY g ORDER BY 1
SELECT to_char(ts, 'YYYY') FROM v ORDER BY id
SELECT to_char(ts, 'Day, DD Month YYYY HH12:MI:SS AM') FROM v ORDER BY id
SELECT to_char(ts, 'FMDay, FMDD FMMonth FMDDth YYYY FMHH12:MI am') FROM v ORDER BY id
SELECT to_char(ts, 'DY Dy dy MON Mon mon IYYY-IW-ID DDD D Q WW W CC J') FROM v ORDER BY id
SELECT to_char(ts, 'YYY YY Y Y,YYY MS US FF2 SSSS RM rm "quoted YYYY" AD b.c.') FROM v ORDER BY id
SELECT to_char(dt, 'YYYY-MM') FROM v ORDER BY id
SELECT to_char(ts, 'YYYY-MM-DD"T"HH24:MI:SS') FROM v WHERE id = 1
SELECT to_char(interval '3 days 04:05:06.789', 'DD HH24:MI:SS.MS')
SELECT to_char(x, '999'), to_char(x, '000'), to_char(x, 'S99'), to_char(x, 'FM99'), to_char(x, '99MI'), to_char(x, '99PR') FROM v ORDER BY id
SELECT to_char(n, '999999.99'), to_char(n, 'FM999999.99'), to_char(n, '0.00'), to_char(n, '99,999.9') FROM v ORDER BY id
SELECT to_char(d, '9.99'), to_char(d, 'FM990.00'), to_char(d, '999999999999999999') FROM v ORDER BY id
SELECT to_char(1234567.891, '9,999,999.99'), to_char(-0.5, '9.9'), to_char(0, '9'), to_char(12, '9'), to_char(1, 'FM000')
SELECT to_char(485, '"Good number:"999'), to_char(485.8, 'SG999D9'), to_char(-485, '999S'), to_char(12, '99 "x"')
SELECT date_trunc('hour', ts), date_trunc('minute', ts), date_trunc('month', ts), date_trunc('year', ts), date_trunc('day', ts) FROM v ORDER BY id
SELECT date_trunc('decade', ts), date_trunc('century', ts) FROM v WHERE id = 1
SELECT interval '1 month' = interval '30 days', interval '36 hours' > interval '1 day', interval '1 day' = interval '24 hours'
SELECT interval '1 day' * 1.5, interval '1 month' / 2, 2 * interval '3 hours', interval '1 year' * 0.1
SELECT justify_hours(interval '27 hours'), justify_interval(interval '1 mon -1 hour')
SELECT dt + interval '36 hours', dt - interval '1 day', interval '1 day' + dt FROM v WHERE id = 1
SELECT dt + 1, dt - 1, dt - dt FROM v WHERE id = 1
SELECT date '2026-03-01' + time '10:00'
SELECT ts - ts, ts - interval '25 hours' FROM v WHERE id = 1
SELECT (ts - timestamp '2026-01-01')::text FROM v WHERE id = 1
SELECT ts - timestamp '2026-02-28' > interval '36 hours' FROM v WHERE id = 1
SELECT extract(epoch from interval '1 day 01:00:00'), extract(second from time '10:20:30.5'), extract(epoch from ts) FROM v WHERE id = 4
SELECT date_part('second', ts), date_part('hour', ts), date_part('epoch', ts) FROM v ORDER BY id
SELECT TIMESTAMP '2026-03-01 10:00:00' AT TIME ZONE 'America/New_York' AT TIME ZONE 'Asia/Kolkata'
SELECT TIMESTAMPTZ '2026-03-01 10:00:00+00' AT TIME ZONE 'America/New_York'
SELECT extract(hour from TIMESTAMPTZ '2026-03-01 10:00:00+00' AT TIME ZONE 'Asia/Kolkata')
SELECT date_trunc('day', TIMESTAMPTZ '2026-03-01 02:00:00+00' AT TIME ZONE 'America/New_York')
SELECT cast(0.5 as int), cast(1.5 as int), cast(-0.5 as int), cast(0.5::float8 as int), cast(1.5::float8 as int), cast(2.5::float8 as int), cast(-2.5::float8 as int)
SELECT n::int FROM v ORDER BY id
SELECT d::int FROM v WHERE id <> 5 ORDER BY id
SELECT d::bigint FROM v ORDER BY id
SELECT 3000000000.5::int
SELECT 'NaN'::float8::int
SELECT 1e300::float8::bigint
SELECT 2.675::float8::numeric(10,2), 0.1::float8::numeric(20,15), 1.005::float8::numeric(10,2)
SELECT 2.675::numeric(10,2), 1.005::numeric(10,2), -1.005::numeric(10,2)
SELECT 'abcdef'::varchar(3), 'ab'::varchar(3), 12345::varchar(2), 'abc'::char(2)
SELECT d::text FROM v ORDER BY id
SELECT 1e15::float8::text, 123456789012345::float8::text, 1e-5::float8::text, 0.0001::float8::text, 1.5::real::text, 'Infinity'::float8::text, 'NaN'::float8::text
SELECT ts::text || '!', dt::text || '!', d::text || '!' FROM v WHERE id = 1
SELECT 'x' || ts, 'x' || dt, 'x' || d, 'x' || bo, 'x' || n FROM v WHERE id = 1
SELECT "by"::text, ar::text FROM v ORDER BY id
SELECT interval '1 year 2 months 3 days 04:05:06.7'::text, interval '-1 day'::text, interval '0'::text
SELECT '\x6162'::bytea, 'a\\b'::bytea, '\xzz'::bytea
SELECT id FROM v WHERE "by" = '\x61'
SELECT id FROM v WHERE bo = 'false' ORDER BY id
SELECT id FROM v WHERE bo = 'maybe'
SELECT id FROM v WHERE x = '2' ORDER BY id
SELECT id FROM v WHERE x = 'abc'
SELECT id FROM v WHERE x = '2.5'
SELECT id FROM v WHERE n = '0.05'
SELECT id FROM v WHERE ar = '{1,2}'
SELECT 1.0/3, 2/3.0, 10.0/4, -1/3.0, 100000/3.0, 1/0.0003
SELECT 1/0.0
SELECT 1.10 + 2.20, 1.5 * 2.5, 1.25 - 1, 5.5 % 2
SELECT sum(n), avg(n), min(n), max(n) FROM v
SELECT 0.1 + 0.2 = 0.3, 0.1::float8 + 0.2::float8 = 0.3::float8
SELECT round(2.5), round(3.5), round(-2.5), round(2.5::float8), round(3.5::float8), round(-2.5::float8), round(0.5::float8), round(2.567, 2), round(1234.5, -2)
SELECT round(n, 1), round(d) FROM v ORDER BY id
SELECT mod(-7, 3), mod(7, -3), mod(7.5, 2), sign(-3), sign(2.5), abs(-3), ceil(1.2), floor(-1.2), trunc(-1.5), trunc(1.567, 2)
SELECT 2 ^ 10, |/ 16, ||/ 27, @ -5
SELECT 'abc' ^@ 'ab', starts_with('abc', 'b')
SELECT id FROM v WHERE t SIMILAR TO '%(a|b)%' ORDER BY id
SELECT 'abc' SIMILAR TO 'abc', 'abc' SIMILAR TO 'a', 'abc' SIMILAR TO '_b_', 'a.c' SIMILAR TO 'a.c', 'abc' SIMILAR TO 'a.c', 'abc' NOT SIMILAR TO 'x%'
SELECT substring('foobar' from 'o(.)b'), substring('foobar' from 'o.b'), substring('foobar' from 'x'), substring('foobar' from 2 for 3)
SELECT U&'\00e9', E'\u00e9', 'a' COLLATE "C" < 'b'
SELECT 'a' COLLATE "de_DE" < 'b'
SELECT id FROM v ORDER BY id OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY
SELECT id FROM v FETCH FIRST ROW ONLY
SELECT count(*), sum(x) FROM v WHERE id > 100 GROUP BY ()
SELECT every(x > -10), bool_or(x > 4) FROM v
SELECT localtimestamp > timestamp '2020-01-01', clock_timestamp() > timestamptz '2020-01-01'
SELECT make_timestamp(2026, 3, 1, 10, 20, 30.5), make_date(2026, 2, 28)
SELECT make_timestamp(2026, 2, 30, 0, 0, 0)
SELECT isfinite(ts), isfinite(dt) FROM v ORDER BY id
SELECT array_remove(ARRAY[1,NULL,1,2], 1), array_remove(ARRAY['a','b','a'], 'a')
SELECT ar && '{5,3}'::bigint[], ar @> '{1}'::bigint[] FROM v ORDER BY id
SELECT id, ts + interval '1 day' AS a, ts - interval '1 month' AS b FROM v ORDER BY id
SELECT g, sum(x) * 1.5, avg(x) * 2 FROM v GROUP BY g ORDER BY g
SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY x) FROM v
SELECT id FROM v WHERE n > 0.1 AND d < 1.5 ORDER BY id
SELECT x + 0.5, b * 1.5, d + 0.5, n + 0.5 FROM v ORDER BY id
SELECT coalesce(n, 0.0), coalesce(d, 0.0), greatest(x, 1.5) FROM v ORDER BY id
SELECT id FROM v WHERE d IN (0.1, 1.5) ORDER BY id
SELECT CASE WHEN x > 1 THEN 1.5 ELSE 0 END FROM v ORDER BY id
SELECT 0.1::real = 0.1, 0.1::float8 = 0.1
SELECT 1.50, 100.00, 0.10, .5, 1e3, 1.5e-3
SELECT -1.5, - 2.5, +3.5
SELECT 18446744073709551621 = 18446744073709551624, 18446744073709551621 < 18446744073709551624
SELECT 18446744073709551624, -18446744073709551624, -9223372036854775809, 12345678901234567890123456789012345678
SELECT 18446744073709551624 + 1, -9223372036854775809 - 1, 99999999999999999999 * 3
SELECT id FROM v WHERE b < 99999999999999999999 AND b > -99999999999999999999 ORDER BY id
SELECT -9223372036854775808
SELECT CAST('1e400' AS float8)
SELECT CAST('-1e400' AS float8)
SELECT CAST('1e39' AS real)
SELECT CAST(1e39::float8 AS real)
SELECT CAST('x' AS float8)
SELECT CAST('1.5' AS float8), CAST('-Infinity' AS float8), CAST('nan' AS real), CAST('1e38' AS real)
SELECT d::real, n::real, x::real FROM v ORDER BY id
SELECT to_timestamp(1700000000.1234565::float8), to_timestamp(-1.5::float8), to_timestamp(0)
SELECT to_timestamp('NaN'::float8)
SELECT to_timestamp(1e20::float8)
SELECT timestamp '9999-12-31 23:59:59', timestamp '0001-01-01', '1500-02-10 01:02:03'::timestamp
SELECT timestamp '2026-03-01 10:00', timestamp '2026-3-1 9:05', timestamp '2026-03-01T10:00:00.5'
SELECT timestamp '2026-03-01 10:00:00+02', '2026-03-01 10:00Z'::timestamp
SELECT timestamptz '2026-03-01 10:00+02', timestamptz '2026-03-01 10:00', '2026-03-01T10:00:00Z'::timestamptz
SELECT timestamp '2026-03-01 10:00 nonsense'
SELECT timestamp '2026-13-01 10:00'
SELECT age(timestamp '2026-03-01', timestamp '2025-01-31 12:00'), age(timestamp '2025-01-31', timestamp '2026-03-01 13:00')
SELECT age(timestamp '2026-02-28', timestamp '2024-02-29'), age(timestamp '2026-03-31', timestamp '2026-02-28'), age(date '2026-05-01', date '2026-03-31')
SELECT id, age(ts, timestamp '2025-12-31 23:59:59.5') FROM v ORDER BY id
SELECT width_bucket(5.35, 0.024, 10.06, 5), width_bucket(-1, 0, 10, 5), width_bucket(10, 0, 10, 5), width_bucket(3, 10, 0, 5)
SELECT id, width_bucket(x, 0, 10, 5), width_bucket(d, 0, 10, 3), width_bucket(n, 0, 10, 4) FROM v ORDER BY id
SELECT width_bucket(1, 0, 0, 5)
SELECT width_bucket(1, 0, 10, 0)
SELECT extract(century from timestamp '2000-12-31'), extract(century from date '2001-01-01'), extract(decade from date '2026-01-01'), extract(millennium from timestamp '2000-01-01')
SELECT extract(century from interval '250 years'), extract(decade from interval '-25 years'), extract(millennium from interval '2500 years')
SELECT date_part('century', ts), date_part('decade', dt) FROM v ORDER BY id
SELECT extract(timezone from timestamptz '2026-01-01 00:00+00'), extract(timezone_hour from timestamptz '2026-01-01')
SELECT extract(timezone from timestamp '2026-01-01')
SELECT chr(65), chr(128640)
SELECT chr(0)
SELECT avg(n), avg(n::numeric(10,2)) FROM v
SELECT 'a'::char(3) = 'a  '
SELECT sum(x), sum(v.x) FROM v
SELECT avg(n::numeric(10,2)) FROM v
SELECT id, v.id, id::int, (id)::bigint FROM v WHERE id = 1
SELECT count(*), count(*), x + 1, x + 1 FROM v GROUP BY x ORDER BY x
SELECT '2026-03-01T23:30:00-05:00'::date, '2026-03-01 10:10:12+12:00'::date, ' 2026-03-01 '::date
SELECT '0000-01-01'::date
SELECT '101112'::time
SELECT '5'::time
SELECT 5::bigint::time
SELECT '10:11'::time, ' 10:11:12.5 '::time
SELECT '15'::interval, '1.5'::interval, '1 day'::interval
SELECT '1e3'::numeric(10,2), '1e-4'::numeric(10,5), '2.675'::numeric(10,2)
SELECT '0.12345678901234'::numeric = '0.12345678901299'::numeric, '0.12345678901234'::numeric, 0.00000000001::numeric
SELECT 123456789012345678901234567890.12::numeric(40,2)
SELECT log(1000), log(1e15), log(2, 8)
SELECT timestamptz '2026-11-01 01:30 America/New_York', timestamp '2026-11-01 01:30 America/New_York'
SELECT timestamptz '2026-07-01 12:00 CET', timestamptz '2026-07-01 12:00 EST', timestamptz '2026-07-01 12:00 -04:30'
SELECT timestamp '2026-03-01 24:00', timestamp '2026-03-01 23:59:60', timestamp '20260301 10:11:12'
SELECT timestamp '2026-01-01 10:11:12.32 34567'
SELECT timestamptz '2026-01-01 10:11:12+16'
SELECT timestamptz '2026-01-01 10:11:12+14:60'
SELECT timestamp 'today x'
SELECT x FROM (VALUES (1)) a(x) RIGHT JOIN (VALUES (2)) b(x) USING (x)
SELECT x FROM (VALUES (1)) a(x) NATURAL FULL JOIN (VALUES (2)) b(x) ORDER BY x
SELECT -x AS x FROM (VALUES (2),(1)) v(x) ORDER BY x+0
SELECT -x AS x FROM (VALUES (2),(1)) v(x) ORDER BY x
SELECT a.x AS y FROM (VALUES (2),(1)) a(x) ORDER BY abs(a.x) DESC
SELECT 'abc'::char(2), 'abc'::varchar(2)
SELECT (ARRAY[1,2,3])[-1]
SELECT extract(hour from timestamp '2026-03-01' - timestamp '2026-01-01')
SELECT ln(-1)
SELECT exp(1000::float8)
SELECT a FROM (SELECT 1 AS a, 2 AS a) t
SELECT 1 AS a, 2 AS a ORDER BY a
SELECT x AS a, x AS a FROM v ORDER BY a, id
SELECT a.id, b.id FROM v a JOIN v b ON a.id = b.id ORDER BY a.id
WITH t AS (SELECT 1 AS a, 2 AS a) SELECT a FROM t
SELECT 1 AS a, 2 AS a UNION ALL SELECT 3, 3
SELECT timestamp '2026-03-01 10:00:00.1234565', timestamp '2026-03-01 10:00:00.1234575', timestamp '2026-03-01 10:00:00.0001255'
SELECT timestamp '2026-03-01 10:00:00.123456501', '1969-12-31 23:59:59.9999999'::timestamp, timestamptz '2026-03-01 23:59:59.9999995'
SELECT '2026-03-01 10:00:00.5'::timestamp(0), '1999-12-31 23:59:58.5'::timestamp(0), '1970-01-01 00:00:00.0015'::timestamp(3)
SELECT timestamp '2026-03-01 10:00:00.123456'::timestamp(3), timestamp '2026-03-01 10:00:00.5'::timestamp(0), ts::timestamp(0) FROM v ORDER BY id
SELECT time '10:00:00.1234565', time '10:00:00.1234575', '23:59:59.9999994'::time
SELECT date_trunc('day', timestamp '9999-12-31 23:59:59'), date_trunc('month', timestamp '2500-05-05'), date_trunc('week', timestamp '0002-03-04 05:06')
SELECT date_trunc('milliseconds', timestamp '1969-12-31 23:59:59.999999'), date_trunc('second', timestamp '1600-01-01 00:00:00.5')
SELECT date_trunc('decade', timestamp '1969-12-31'), date_trunc('century', timestamp '0002-03-04'), date_trunc('millennium', timestamp '9999-01-01')
SELECT date_bin('15 minutes', timestamp '9999-12-31 23:59:59', timestamp '2000-01-01'), date_bin('7 days', timestamp '0002-03-04', timestamp '1970-01-01')
SELECT date_bin('15 minutes', timestamp '1969-12-31 23:59:59.999999', timestamp '1970-01-01 00:07:30')
SELECT timestamp '9999-12-31' > date '2500-01-01', timestamp '3000-01-01' = date '3000-01-01', timestamp '1500-01-01' < '1600-01-01'
SELECT id FROM v WHERE ts < '9999-12-31' AND ts BETWEEN date '0001-01-01' AND timestamp '9999-12-31' ORDER BY id
SELECT id FROM v WHERE ts IN (timestamp '2026-03-01 10:20:30', timestamp '9999-12-31') ORDER BY id
SELECT coalesce(NULL, timestamp '9999-12-31'), greatest(timestamp '0001-01-01', timestamp '9999-12-31'), CASE WHEN true THEN timestamp '9999-12-31' ELSE date '2026-01-01' END
SELECT timestamp '9999-12-31 23:59:59' - timestamp '9999-12-31', timestamp '2500-01-31' + interval '1 month', timestamp '1500-03-31' - interval '1 month 1 day 01:02:03.000004'
SELECT extract(epoch from timestamp '9999-12-31 23:59:59.999999'), extract(year from timestamp '0001-01-01'), extract(microseconds from timestamp '9999-12-31 23:59:59.999999')
SELECT to_char(timestamp '9999-12-31 23:59:59.999999', 'YYYY-MM-DD HH24:MI:SS.US'), to_char(timestamp '0044-03-15', 'YYYY Day J')
SELECT age(timestamp '9999-12-31', timestamp '0001-01-01'), age(timestamp '2026-03-01 10:00:00.000001', timestamp '2026-03-01')
SELECT to_timestamp(253402300799), to_timestamp(-62135596800), to_timestamp(1700000000.123456::numeric)
SELECT timestamptz '9999-12-31 23:59:59' AT TIME ZONE 'UTC', timestamp '9999-12-31' AT TIME ZONE 'UTC'
SELECT x FROM (SELECT timestamp '9999-12-31' AS x UNION ALL SELECT timestamp '0001-01-01' UNION ALL SELECT ts FROM v WHERE id = 1) t ORDER BY x
WITH RECURSIVE t AS (SELECT timestamp '9999-12-29' AS x UNION ALL SELECT x + interval '1 day' FROM t WHERE x < timestamp '9999-12-31') SELECT x FROM t ORDER BY x
SELECT max(x), min(x), count(DISTINCT x) FROM (VALUES (timestamp '9999-12-31'), (timestamp '0001-01-01'), (timestamp '9999-12-31')) t(x)
SELECT date '2026-03-01' + time '10:20:30.123456', date '9999-12-31' + time '10:20:30', time '10:20:30' - time '10:00'
SELECT (SELECT max(w.ts) FROM v w WHERE w.ts = v.ts) = ts FROM v ORDER BY id
SELECT timestamp '9999-12-31 00:00:00'::date, timestamp '9999-12-31 10:20:30.5'::time, timestamp '0001-01-01'::text
SELECT now() = current_timestamp, now() > timestamptz '2026-01-01', extract(microseconds from now())::bigint % 1 = 0
