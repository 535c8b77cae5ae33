CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
CREATE INDEX by_name ON item(name);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO item SELECT i, hex(i * 2654435761 % 4294967296), i * 7919 % 1000 FROM n;
COMMIT;
SELECT count(*), sum(price), min(name), max(name) FROM item WHERE name LIKE '3%';
SELECT price, count(*) FROM item GROUP BY price ORDER BY count(*) DESC, price LIMIT 5;
SELECT a.id FROM item a JOIN item b ON a.name = b.name WHERE a.price > 990 ORDER BY a.id LIMIT 3;
