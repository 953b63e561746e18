import type { Revocation } from '../auth/revocation.ts'

/** What operators may ask and do; names are those of the wire. */
export type Operator = {
  /** Tokens of operators; without any, every call is refused. */
  readonly tokens: readonly string[]
  readonly readDiagnostics: (options: { readonly withContent: boolean }) => Promise<OperatorDiagnostics>
  /** Throws `source-unreachable` and its like when the source cannot be asked. */
  readonly readSchema: () => Promise<OperatorSchema>
  /** Holds a sync config against the source; problems are in the result. */
  readonly validate: (content: string) => Promise<SyncConfigStatus>
  /** Throws `no-active-sync-config`. */
  readonly readCurrent: () => Promise<{ readonly current: DeployedConfig; readonly next: DeployedConfig | null }>
  /** Throws `bad-sync-config`, `sync-config-from-file`, and what is wrong with the source. */
  readonly deploy: (content: string) => Promise<Deployed>
  /** Builds everything anew. Throws `no-active-sync-config`, `sync-config-deploying`. */
  readonly reprocess: () => Promise<Deployed>
  /** Ends the streams of these tokens and refuses them from now on; durable when it resolves. */
  readonly revoke: (revocation: Revocation) => Promise<Revoked>
  /** Compacts the stored buckets; with `wait` it returns when that has ended. Throws `compaction-running`. */
  readonly compact: (options: { readonly wait: boolean }) => Promise<Compaction>
  /** How the last compaction stands that was asked for since the service was started. */
  readonly readCompaction: () => Promise<Compaction | undefined>
  /** What a config does, for people. */
  readonly describe: (content: string) => DescribedConfig
}

export type Revoked = {
  readonly user_id: string
  readonly client_id?: string
  readonly token_id?: string
  readonly issued_before: string
  /** When it is forgotten, as every token that it concerns has expired. */
  readonly expires_at: string
}

/** One that an operator has asked for: what it has done so far, or in all. */
export type Compaction = {
  readonly started_at: string
  readonly running: boolean
  readonly took_ms: number
  /** What there was at its start, and what of it has been looked through. */
  readonly buckets: number
  readonly buckets_done: number
  /** Stored at its start, and those of them that still are. */
  readonly operations_before: number
  readonly operations_after: number
  /** Operations that became a MOVE, and those, MOVEs among them, that went into a CLEAR. */
  readonly moved: number
  readonly cleared: number
  readonly bytes_freed: number
  /** Times that something was in the way; the log says what. */
  readonly failures: number
}

export type Deployed = { readonly slot_name: string }

export type OperatorDiagnostics = {
  readonly connections: readonly SourceConnection[]
  readonly active_sync_rules?: SyncConfigStatus
  readonly deploying_sync_rules?: SyncConfigStatus
}

export type SourceConnection = {
  readonly id: string
  readonly postgres_uri: string
  readonly uri: string
  readonly connected: boolean
  readonly errors: readonly ReplicationError[]
}

export type ReplicationError = {
  readonly level: 'warning' | 'fatal'
  readonly message: string
  /** In characters of the config's text. */
  readonly location?: { readonly start_offset: number; readonly end_offset: number }
  readonly ts?: string
}

export type SyncConfigStatus = {
  readonly content?: string
  readonly connections: readonly ConfigConnection[]
  readonly errors: readonly ReplicationError[]
}

export type ConfigConnection = {
  readonly id: string
  readonly tag: string
  readonly slot_name: string
  readonly initial_replication_done: boolean
  readonly last_lsn?: string
  readonly last_keepalive_ts?: string
  /** When clients could last see a newer state. */
  readonly last_checkpoint_ts?: string
  readonly replication_lag_bytes?: number
  /** Log that Postgres keeps for the slot. */
  readonly retained_wal_size?: number
  readonly wal_status?: string
  readonly safe_wal_size?: number
  readonly max_slot_wal_keep_size?: number
  readonly tables: readonly ConfigTable[]
}

export type ConfigTable = {
  readonly schema: string
  readonly name: string
  readonly pattern?: string
  readonly replication_id: readonly string[]
  readonly data_queries: boolean
  readonly parameter_queries: boolean
  /** How far its copy is; absent before it begins. */
  readonly snapshot?: { readonly done: boolean; readonly rows_copied: number; readonly rows_estimated: number }
  readonly errors: readonly ReplicationError[]
}

export type OperatorSchema = {
  readonly connections: readonly {
    readonly id: string
    readonly tag: string
    readonly schemas: readonly { readonly name: string; readonly tables: readonly SchemaTable[] }[]
  }[]
  readonly defaultConnectionTag: string
  readonly defaultSchema: string
}

export type SchemaTable = {
  readonly name: string
  readonly columns: readonly {
    readonly name: string
    readonly sqlite_type: 'blob' | 'text' | 'integer' | 'real'
    readonly internal_type: string
    readonly type: string
    readonly pg_type: string
  }[]
}

export type DescribedConfig =
  | {
      readonly valid: true
      readonly bucket_definitions: readonly unknown[]
      readonly source_tables: readonly unknown[]
      readonly data_tables: readonly unknown[]
    }
  | { readonly valid: false; readonly errors: readonly string[] }

export type DeployedConfig = {
  readonly slot_name: string
  readonly content: string
  readonly valid: boolean
  readonly bucket_definitions: readonly unknown[]
  readonly source_tables: readonly unknown[]
  readonly data_tables: readonly unknown[]
}
