-- The catalogue, in SQL that SQLite and PostgreSQL both accept. Times are microseconds since the Unix epoch, UTC; lists
-- are JSON text; UUID is native in PostgreSQL and a 16-byte BLOB in SQLite.

-- One row: every write takes the next revision from it, and so waits for the write before.
CREATE TABLE catalogue_head (
    only_row SMALLINT PRIMARY KEY CHECK (only_row = 1),
    epoch    UUID NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE products (
    product_id UUID PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    classes    TEXT NOT NULL,
    weight_g   BIGINT,
    length_mm  BIGINT,
    width_mm   BIGINT,
    height_mm  BIGINT,
    state      TEXT NOT NULL,
    version    BIGINT NOT NULL,
    revision   BIGINT NOT NULL
);
CREATE INDEX products_by_revision ON products (revision, product_id);

CREATE TABLE locations (
    location_id  UUID PRIMARY KEY NOT NULL,
    parent_id    UUID REFERENCES locations (location_id),
    kind         TEXT NOT NULL,
    code         TEXT,
    name         TEXT NOT NULL,
    zones        TEXT NOT NULL,
    -- EXACT, PREFIX or RANGE; postal_last is the end of a RANGE.
    postal_kind  TEXT,
    postal_first TEXT,
    postal_last  TEXT,
    state        TEXT NOT NULL,
    version      BIGINT NOT NULL,
    revision     BIGINT NOT NULL
);
CREATE INDEX locations_by_revision ON locations (revision, location_id);
CREATE INDEX locations_by_parent ON locations (parent_id, location_id);
CREATE INDEX locations_by_code ON locations (code);

CREATE TABLE rules (
    rule_id         UUID PRIMARY KEY NOT NULL,
    effect          TEXT NOT NULL,
    -- A product, or a class, or neither: any.
    product_id      UUID REFERENCES products (product_id),
    product_class   TEXT,
    -- A location, or a zone, or neither: any.
    location_id     UUID REFERENCES locations (location_id),
    zone            TEXT,
    -- The two selectors as one text, to count the rules that share them.
    selectors       TEXT NOT NULL,
    max_weight_g    BIGINT,
    max_side_mm     BIGINT,
    max_quantity    BIGINT,
    valid_from_us   BIGINT,
    valid_until_us  BIGINT,
    note            TEXT NOT NULL,
    deleted         BOOLEAN NOT NULL,
    version         BIGINT NOT NULL,
    revision        BIGINT NOT NULL
);
CREATE INDEX rules_by_revision ON rules (revision, rule_id);
CREATE INDEX rules_by_selectors ON rules (selectors);
