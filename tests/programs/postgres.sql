-- What a server does in a day, small: the results are the same every time.
CREATE EXTENSION hstore;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION pgcrypto;
CREATE TABLE items AS
    SELECT i AS id, md5(i::text) AS name, i * 7919 % 1000 AS amount, (i * 31 % 97)::numeric / 7 AS price,
        hstore('k' || i % 10, i::text) AS attributes,
        jsonb_build_object('id', i, 'tags', jsonb_build_array(i % 3, i % 5), 'text', repeat(md5(i::text), i % 9)) AS document
    FROM generate_series(1, :rows) AS i;
ALTER TABLE items ADD PRIMARY KEY (id);
CREATE INDEX ON items USING gin (name gin_trgm_ops);
CREATE INDEX ON items USING gin (document);
CREATE INDEX ON items USING hash (amount);
CREATE INDEX ON items USING brin (price);
ANALYZE items;
SELECT amount % 50 AS key, count(*), sum(price), md5(string_agg(name, ',' ORDER BY id)) FROM items GROUP BY 1 ORDER BY 1;
SELECT count(*), sum(a.amount * b.amount) FROM items a JOIN items b ON a.amount = b.id;
SELECT count(*) FROM items WHERE name LIKE '%abc%' OR document @> '{"tags": [1, 4]}';
SELECT md5(string_agg(t, '')) FROM (SELECT regexp_replace(name, '([a-f]+)([0-9])', '\2\1', 'g') AS t FROM items ORDER BY 1) x;
SELECT id, sum(amount) OVER (PARTITION BY id % 7 ORDER BY id ROWS 100 PRECEDING) FROM items ORDER BY id LIMIT 30;
SELECT encode(digest(string_agg(attributes::text, ',' ORDER BY id), 'sha256'), 'hex') FROM items;
WITH RECURSIVE walk(n, at) AS (SELECT 1, 1 UNION ALL SELECT n + 1, at * 31 % 1009 FROM walk WHERE n < 2000)
SELECT count(DISTINCT at), sum(at) FROM walk;
CREATE FUNCTION collatz(start int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE steps int := 0; at bigint := start;
BEGIN
    WHILE at <> 1 LOOP
        at := CASE WHEN at % 2 = 0 THEN at / 2 ELSE 3 * at + 1 END;
        steps := steps + 1;
    END LOOP;
    RETURN steps;
EXCEPTION WHEN numeric_value_out_of_range THEN RETURN -1;
END $$;
SELECT max(collatz(id)), sum(collatz(id)) FROM items WHERE id <= 3000;
BEGIN;
DELETE FROM items WHERE id % 3 = 0;
SAVEPOINT before;
UPDATE items SET name = upper(name);
ROLLBACK TO before;
UPDATE items SET name = reverse(name), price = price + 1 WHERE id % 2 = 0;
COMMIT;
VACUUM FULL items;
CREATE TABLE parts (id int, body text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (1000) TO (10000000);
INSERT INTO parts SELECT id, repeat(name, 300) FROM items;
SELECT tableoid::regclass, count(*), sum(length(body)) FROM parts GROUP BY 1 ORDER BY 1;
SELECT md5(string_agg(body, '' ORDER BY id)) FROM parts;
