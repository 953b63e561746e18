import type { JsonSchema } from '../packages/service/src/http/route-table.ts'

const TEXT: JsonSchema = { type: 'string' }
const TIME: JsonSchema = { type: 'string', format: 'date-time' }
const FLAG: JsonSchema = { type: 'boolean' }
const WHOLE: JsonSchema = { type: 'integer' }
const OBJECT: JsonSchema = { type: 'object' }
const OP_ID: JsonSchema = { type: 'string', pattern: '^[0-9]{0,19}$' }

function object(properties: { readonly [name: string]: JsonSchema }, required: readonly string[] = []): JsonSchema {
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) }
}

const array = (items: JsonSchema): JsonSchema => ({ type: 'array', items })
const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })
const orNull = (schema: JsonSchema): JsonSchema => ({ oneOf: [schema, { type: 'null' }] })

const DESCRIBED = { valid: FLAG, bucket_definitions: array({}), source_tables: array({}), data_tables: array({}) }

/** What the routes' descriptions refer to. */
export const SCHEMAS: { readonly [name: string]: JsonSchema } = {
  Error: object(
    {
      error: object({ code: TEXT, status: WHOLE, description: TEXT, name: TEXT, details: TEXT, severity: TEXT }, [
        'code',
        'description',
        'name',
      ]),
    },
    ['error'],
  ),
  Health: object(
    {
      ready: FLAG,
      started: FLAG,
      touched_at: TIME,
      problem: {
        ...object(
          {
            stage: { enum: ['main-process', 'start', 'source', 'slot', 'wal', 'storage', 'copy', 'checkpoint'] },
            since: TIME,
            code: { ...TEXT, description: 'Of the table of errors, where there was one.' },
            reason: TEXT,
            remedy: TEXT,
          },
          ['stage', 'since', 'reason', 'remedy'],
        ),
        description: 'Why it is not ready, and what to do.',
      },
    },
    ['ready', 'started', 'touched_at'],
  ),
  SyncRequest: object({
    buckets: array(object({ name: TEXT, after: OP_ID }, ['name', 'after'])),
    client_id: orNull({ type: 'string', maxLength: 1_000 }),
    parameters: orNull(OBJECT),
    app_metadata: orNull({ type: 'object', additionalProperties: TEXT }),
    raw_data: orNull({ ...FLAG, description: 'Rows as text that holds JSON, instead of nested JSON.' }),
    streams: orNull(
      object(
        {
          include_defaults: FLAG,
          subscriptions: array(
            object(
              {
                stream: TEXT,
                parameters: orNull(OBJECT),
                override_priority: orNull({ type: 'integer', minimum: 0 }),
              },
              ['stream'],
            ),
          ),
        },
        ['subscriptions'],
      ),
    ),
  }),
  ReplicationError: object(
    {
      level: { enum: ['warning', 'fatal'] },
      message: TEXT,
      location: object({ start_offset: WHOLE, end_offset: WHOLE }),
      ts: TIME,
    },
    ['level', 'message'],
  ),
  Diagnostics: object(
    {
      connections: array(
        object({ id: TEXT, postgres_uri: TEXT, uri: TEXT, connected: FLAG, errors: array(ref('ReplicationError')) }),
      ),
      active_sync_rules: ref('SyncConfigStatus'),
      deploying_sync_rules: ref('SyncConfigStatus'),
    },
    ['connections'],
  ),
  SyncConfigStatus: object(
    {
      content: TEXT,
      connections: array(
        object({
          id: TEXT,
          tag: TEXT,
          slot_name: TEXT,
          initial_replication_done: FLAG,
          last_lsn: TEXT,
          last_keepalive_ts: TIME,
          last_checkpoint_ts: { ...TIME, description: 'When clients could last see a newer state.' },
          replication_lag_bytes: { ...WHOLE, description: 'Log that is written and not replicated yet.' },
          retained_wal_size: { ...WHOLE, description: 'Log that Postgres keeps for the slot.' },
          wal_status: TEXT,
          safe_wal_size: { ...WHOLE, description: 'Log that may still be written before the slot may be lost.' },
          max_slot_wal_keep_size: { ...WHOLE, description: 'Log that Postgres keeps for a slot at most.' },
          tables: array(
            object({
              schema: TEXT,
              name: TEXT,
              pattern: TEXT,
              replication_id: array(TEXT),
              data_queries: FLAG,
              parameter_queries: FLAG,
              snapshot: {
                ...object({ done: FLAG, rows_copied: WHOLE, rows_estimated: WHOLE }),
                description: 'How far the copy of the table is; absent before it begins.',
              },
              errors: array(ref('ReplicationError')),
            }),
          ),
        }),
      ),
      errors: array(ref('ReplicationError')),
    },
    ['connections', 'errors'],
  ),
  Schema: object({
    connections: array(
      object({
        id: TEXT,
        tag: TEXT,
        schemas: array(
          object({
            name: TEXT,
            tables: array(
              object({
                name: TEXT,
                columns: array(
                  object({ name: TEXT, sqlite_type: TEXT, internal_type: TEXT, type: TEXT, pg_type: TEXT }),
                ),
              }),
            ),
          }),
        ),
      }),
    ),
    defaultConnectionTag: TEXT,
    defaultSchema: TEXT,
  }),
  Compaction: object(
    {
      started_at: TIME,
      running: FLAG,
      took_ms: WHOLE,
      buckets: { ...WHOLE, description: 'That there were at its start.' },
      buckets_done: { ...WHOLE, description: 'Of them, those that it has looked through.' },
      operations_before: { ...WHOLE, description: 'That were stored at its start.' },
      operations_after: { ...WHOLE, description: 'Of them, those that still are.' },
      moved: { ...WHOLE, description: 'Operations that became a MOVE.' },
      cleared: { ...WHOLE, description: 'Operations, MOVEs among them, that went into a CLEAR.' },
      bytes_freed: { ...WHOLE, description: 'For what is stored next: files do not become smaller.' },
      failures: {
        ...WHOLE,
        description: 'Times that something was in the way, such as a full disk; the log says what.',
      },
    },
    [
      'started_at',
      'running',
      'took_ms',
      'buckets',
      'buckets_done',
      'operations_before',
      'operations_after',
      'moved',
      'cleared',
      'bytes_freed',
      'failures',
    ],
  ),
  DescribedConfig: object(DESCRIBED, ['valid']),
  DeployedConfig: object({ slot_name: TEXT, content: TEXT, ...DESCRIBED }, ['slot_name', 'content', 'valid']),
}
