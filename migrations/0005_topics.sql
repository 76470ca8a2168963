-- What tells each topic from another one of its name, as it was when this catalog first had to do with it.
CREATE TABLE topics (
  topic TEXT NOT NULL PRIMARY KEY,
  identity TEXT NOT NULL,
  noted_ms BIGINT NOT NULL
);
