-- DataFusion counts columns from 0 and has its own names for their types.
SELECT table_catalog, table_schema, table_name, column_name, CAST(ordinal_position AS INT) + 1 AS ordinal_position,
    column_default, is_nullable,
    CASE WHEN is_array THEN 'ARRAY' WHEN udt = 'bool' THEN 'boolean' WHEN udt = 'int2' THEN 'smallint'
        WHEN udt = 'int4' THEN 'integer' WHEN udt = 'int8' THEN 'bigint' WHEN udt = 'float4' THEN 'real'
        WHEN udt = 'float8' THEN 'double precision' WHEN udt = 'time' THEN 'time without time zone'
        WHEN udt = 'timestamp' THEN 'timestamp without time zone'
        WHEN udt = 'timestamptz' THEN 'timestamp with time zone' ELSE udt END AS data_type,
    CAST(NULL AS INT) AS character_maximum_length,
    CASE WHEN udt = 'text' AND NOT is_array THEN 1073741824 END AS character_octet_length,
    CASE WHEN is_array THEN NULL WHEN udt = 'int2' THEN 16 WHEN udt = 'int4' THEN 32 WHEN udt = 'int8' THEN 64
        WHEN udt = 'float4' THEN 24 WHEN udt = 'float8' THEN 53
        WHEN udt = 'numeric' THEN CAST(numeric_precision AS INT) END AS numeric_precision,
    CASE WHEN is_array THEN NULL WHEN udt IN ('int2', 'int4', 'int8', 'float4', 'float8') THEN 2
        WHEN udt = 'numeric' THEN 10 END AS numeric_precision_radix,
    CASE WHEN is_array THEN NULL WHEN udt IN ('int2', 'int4', 'int8') THEN 0
        WHEN udt = 'numeric' THEN CAST(numeric_scale AS INT) END AS numeric_scale,
    CASE WHEN is_array THEN NULL WHEN udt = 'date' THEN 0
        WHEN udt IN ('time', 'timestamp', 'timestamptz', 'interval') THEN 6 END AS datetime_precision,
    CAST(NULL AS VARCHAR) AS interval_type, CAST(NULL AS VARCHAR) AS collation_name,
    CAST(NULL AS VARCHAR) AS domain_name, table_catalog AS udt_catalog, 'pg_catalog' AS udt_schema,
    CASE WHEN is_array THEN concat('_', udt) ELSE udt END AS udt_name,
    CAST(ordinal_position + 1 AS VARCHAR) AS dtd_identifier, 'NO' AS is_self_referencing, 'NO' AS is_identity,
    'NEVER' AS is_generated, CAST(NULL AS VARCHAR) AS generation_expression, 'NO' AS is_updatable
FROM (
    SELECT *,
        CASE WHEN word = 'Boolean' THEN 'bool' WHEN word IN ('Int8', 'UInt8', 'Int16') THEN 'int2'
            WHEN word IN ('Int32', 'UInt16') THEN 'int4' WHEN word IN ('Int64', 'UInt32') THEN 'int8'
            WHEN word = 'UInt64' OR word LIKE 'Decimal%' THEN 'numeric'
            WHEN word IN ('Float16', 'Float32') THEN 'float4' WHEN word = 'Float64' THEN 'float8'
            WHEN word IN ('Utf8', 'LargeUtf8', 'Utf8View', 'Null') THEN 'text' WHEN word LIKE '%Binary%' THEN 'bytea'
            WHEN word LIKE 'Date%' THEN 'date' WHEN word = 'Timestamp' AND data_type LIKE '%,%' THEN 'timestamptz'
            WHEN word = 'Timestamp' THEN 'timestamp' WHEN word LIKE 'Time%' THEN 'time'
            WHEN word IN ('Interval', 'Duration') THEN 'interval' ELSE 'record' END AS udt
    FROM (
        SELECT *, data_type LIKE '%List(%' AND data_type NOT LIKE 'Struct%' AS is_array,
            regexp_replace(regexp_replace(data_type, '^((Large|FixedSize)?List\(([0-9]+ x )?(non-null )?)+', ''),
                '[^A-Za-z0-9].*', '') AS word
        FROM information_schema.columns
    ) AS split
) AS named
