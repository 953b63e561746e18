/** The app of the random end-to-end test: its tables, its sync config, and what each device should therefore hold. */
import { column, Schema, Table } from '@headwater/client/node'
import type { OracleQuery } from '@headwater/testkit'

export const USERS = ['ann', 'bob', 'cat'] as const
export const REGIONS = ['north', 'south', 'east'] as const
export const ACCOUNTS_PER_REGION = 4

/**
 * `todos` has a value of each kind; `tags` changes its keys; `accounts` is the whole-row replica identity, and its
 * balances always add up to 0; `journal` is written on devices alone. Whatever writes a row of `journal` or `todos`
 * gives it a new `write_id`, and `ledger` counts how often each was written. Foreign keys make deletes cascade.
 */
export const DATABASE_SCHEMA = `
  CREATE TABLE lists (
    id uuid PRIMARY KEY,
    owner_id text NOT NULL,
    name text NOT NULL,
    position int8,
    archived boolean NOT NULL DEFAULT false
  );
  CREATE TABLE memberships (
    id uuid PRIMARY KEY,
    list_id uuid NOT NULL REFERENCES lists ON DELETE CASCADE,
    user_id text NOT NULL
  );
  CREATE TABLE todos (
    id uuid PRIMARY KEY,
    list_id uuid NOT NULL REFERENCES lists ON DELETE CASCADE,
    title text NOT NULL,
    done boolean NOT NULL DEFAULT false,
    weight float8,
    position int8,
    price numeric(12, 2),
    due timestamptz,
    meta jsonb,
    notes text,
    write_id text NOT NULL
  );
  ALTER TABLE todos ALTER COLUMN notes SET STORAGE EXTERNAL;
  CREATE TABLE journal (id uuid PRIMARY KEY, user_id text NOT NULL, body text, write_id text NOT NULL);
  CREATE TABLE tags (code text PRIMARY KEY, label text);
  CREATE TABLE regions (id uuid PRIMARY KEY, user_id text NOT NULL, region text NOT NULL);
  CREATE TABLE accounts (id text PRIMARY KEY, region text NOT NULL, balance int4 NOT NULL);
  ALTER TABLE accounts REPLICA IDENTITY FULL;

  CREATE TABLE ledger (write_id text PRIMARY KEY, times int4 NOT NULL);
  CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO ledger VALUES (NEW.write_id, 1) ON CONFLICT (write_id) DO UPDATE SET times = ledger.times + 1;
    RETURN NULL;
  END $$;
  CREATE TRIGGER count_journal AFTER INSERT OR UPDATE ON journal FOR EACH ROW EXECUTE FUNCTION count_write();
  CREATE TRIGGER count_todos AFTER INSERT OR UPDATE ON todos FOR EACH ROW EXECUTE FUNCTION count_write();

  CREATE PUBLICATION headwater FOR TABLE lists, memberships, todos, journal, tags, regions, accounts;

  INSERT INTO regions
  SELECT gen_random_uuid(), user_id, region
  FROM unnest(ARRAY['${USERS.join("','")}']) AS user_id, unnest(ARRAY['${REGIONS.join("','")}']) AS region;
  INSERT INTO accounts
  SELECT region || '-' || n, region, 0
  FROM unnest(ARRAY['${REGIONS.join("','")}']) AS region, generate_series(1, ${ACCOUNTS_PER_REGION}) AS n;
`

export const SYNC_CONFIG = `
config:
  edition: 3
streams:
  own_lists:
    auto_subscribe: true
    query: SELECT * FROM lists WHERE owner_id = auth.user_id()
  shared_lists:
    auto_subscribe: true
    query: SELECT * FROM lists WHERE id IN (SELECT list_id FROM memberships WHERE user_id = auth.user_id())
  memberships:
    auto_subscribe: true
    query: SELECT * FROM memberships WHERE user_id = auth.user_id()
  todos:
    auto_subscribe: true
    queries:
      - SELECT * FROM todos WHERE list_id IN (SELECT list_id FROM memberships WHERE user_id = auth.user_id())
      - SELECT * FROM todos WHERE list_id IN (SELECT id FROM lists WHERE owner_id = auth.user_id())
  archive:
    auto_subscribe: true
    query: SELECT id, name AS title FROM lists AS archive WHERE owner_id = auth.user_id() AND archived = 1
  journal:
    auto_subscribe: true
    priority: 1
    query: SELECT id, user_id, body, write_id FROM journal WHERE user_id = auth.user_id()
  tags:
    auto_subscribe: true
    query: SELECT code AS id, label FROM tags
  accounts:
    auto_subscribe: true
    query: SELECT * FROM accounts WHERE region IN (SELECT region FROM regions WHERE user_id = auth.user_id())
  picked:
    query: SELECT id, title, done FROM todos AS picked WHERE list_id = subscription.parameter('list')
`

export const DEVICE_SCHEMA = new Schema({
  lists: new Table({ owner_id: column.text, name: column.text, position: column.integer, archived: column.integer }),
  memberships: new Table({ list_id: column.text, user_id: column.text }),
  todos: new Table(
    {
      list_id: column.text,
      title: column.text,
      done: column.integer,
      weight: column.real,
      position: column.integer,
      price: column.text,
      due: column.text,
      meta: column.text,
      notes: column.text,
      write_id: column.text,
    },
    { indexes: { by_list: ['list_id'] } },
  ),
  archive: new Table({ title: column.text }),
  journal: new Table({ user_id: column.text, body: column.text, write_id: column.text }),
  tags: new Table({ label: column.text }),
  accounts: new Table({ region: column.text, balance: column.integer }),
  picked: new Table({ title: column.text, done: column.integer }),
})

const TODO_COLUMNS = ['list_id', 'title', 'done', 'weight', 'position', 'price', 'due', 'meta', 'notes', 'write_id']

export const ORACLE: readonly OracleQuery[] = [
  {
    table: 'lists',
    columns: ['id', 'owner_id', 'name', 'position', 'archived'],
    parameters: ['user'],
    sql: `
      SELECT id, owner_id, name, position, archived::int4 AS archived
      FROM lists
      WHERE owner_id = $1 OR EXISTS (SELECT FROM memberships AS m WHERE m.list_id = lists.id AND m.user_id = $1)`,
  },
  {
    table: 'memberships',
    columns: ['id', 'list_id', 'user_id'],
    parameters: ['user'],
    sql: 'SELECT id, list_id, user_id FROM memberships WHERE user_id = $1',
  },
  {
    table: 'todos',
    columns: ['id', ...TODO_COLUMNS],
    parameters: ['user'],
    sql: `
      SELECT
        id, list_id, title, done::int4 AS done, weight, position, price,
        to_char(due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS due,
        meta::text AS meta, notes, write_id
      FROM todos
      WHERE EXISTS (
        SELECT FROM lists AS l LEFT JOIN memberships AS m ON m.list_id = l.id
        WHERE l.id = todos.list_id AND (l.owner_id = $1 OR m.user_id = $1)
      )`,
  },
  {
    table: 'archive',
    columns: ['id', 'title'],
    parameters: ['user'],
    sql: 'SELECT id, name AS title FROM lists WHERE owner_id = $1 AND archived',
  },
  {
    table: 'journal',
    columns: ['id', 'user_id', 'body', 'write_id'],
    parameters: ['user'],
    sql: 'SELECT id, user_id, body, write_id FROM journal WHERE user_id = $1',
  },
  { table: 'tags', columns: ['id', 'label'], parameters: [], sql: 'SELECT code AS id, label FROM tags' },
  {
    table: 'accounts',
    columns: ['id', 'region', 'balance'],
    parameters: ['user'],
    sql: `
      SELECT id, region, balance
      FROM accounts
      WHERE EXISTS (SELECT FROM regions AS r WHERE r.region = accounts.region AND r.user_id = $1)`,
  },
  {
    table: 'picked',
    columns: ['id', 'title', 'done'],
    parameters: ['list'],
    sql: 'SELECT id, title, done::int4 AS done FROM todos WHERE list_id = $1::uuid',
  },
]
