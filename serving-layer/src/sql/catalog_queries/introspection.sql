-- Types by their oids, the types of elements before those of their arrays.
WITH asked AS (SELECT oid, typelem FROM pg_catalog.pg_type WHERE oid = ANY($1::oid[])),
    types AS (SELECT oid, 0 AS depth FROM asked UNION SELECT typelem, 1 FROM asked WHERE typelem <> 0)
SELECT t.oid, n.nspname AS ns, t.typname AS name, t.typtype AS kind, CAST(NULL AS INT) AS basetype,
    t.typelem AS elemtype, e.typdelim AS elemdelim, CAST(NULL AS INT) AS range_subtype,
    CAST(NULL AS VARCHAR) AS attrtypoids, CAST(NULL AS VARCHAR) AS attrnames, types.depth,
    CAST(NULL AS VARCHAR) AS basetype_name, e.typname AS elemtype_name, CAST(NULL AS VARCHAR) AS range_subtype_name
FROM types
JOIN pg_catalog.pg_type t ON t.oid = types.oid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typlen = -1
ORDER BY types.depth DESC, t.oid
