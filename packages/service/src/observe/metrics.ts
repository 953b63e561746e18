import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Every metric, by its name in Prometheus. Names end in their unit. `docs/reference/metrics.md` is checked against it. */
export const METRIC_TABLE = {
  headwater_canary_age_seconds: {
    kind: 'gauge',
    help: 'Time since a canary last came all the way from the source to a shown checkpoint; 0 before the first.',
    labels: [],
  },
  headwater_canary_seconds: {
    kind: 'histogram',
    help: 'Time from writing a canary to the source until the checkpoint that has it is shown.',
    labels: [],
  },
  headwater_http_requests_total: {
    kind: 'counter',
    help: 'Requests answered, by route and status. A sync stream counts when it ends.',
    labels: ['route', 'status'],
  },
  headwater_limits_near_total: {
    kind: 'counter',
    help: 'Times that a client, or all together, came above half of a limit; each counts once.',
    labels: ['limit'],
  },
  headwater_limits_reached_total: {
    kind: 'counter',
    help: 'Requests refused and connections cut off because of a limit.',
    labels: ['limit'],
  },
  headwater_newcomers_count: {
    kind: 'gauge',
    help: 'Open connections whose other end has not proven who it is, or that are idle.',
    labels: [],
  },
  headwater_replication_batch_seconds: {
    kind: 'histogram',
    help: 'Time from the arrival of a batch of changes until it is durable.',
    labels: [],
  },
  headwater_replication_lag_bytes: {
    kind: 'gauge',
    help: 'Log of the source that is written but not replicated yet.',
    labels: [],
  },
  headwater_replication_operations_total: {
    kind: 'counter',
    help: 'Operations appended to buckets.',
    labels: [],
  },
  headwater_replication_reconnects_total: {
    kind: 'counter',
    help: 'Times that the connection to the source was lost and opened again.',
    labels: [],
  },
  headwater_replication_row_errors_total: {
    kind: 'counter',
    help: 'Rows that could not be evaluated, or whose write checkpoint could not be read; see `rows-left-out` in the log.',
    labels: [],
  },
  headwater_replication_rows_total: {
    kind: 'counter',
    help: 'Changed rows read from the log of the source.',
    labels: [],
  },
  headwater_replication_transactions_total: {
    kind: 'counter',
    help: 'Transactions read from the log of the source.',
    labels: [],
  },
  headwater_revocations_count: {
    kind: 'gauge',
    help: 'Revocations of tokens that are in force; each is forgotten when the last token that it concerns has expired.',
    labels: [],
    aggregator: 'max',
  },
  headwater_slot_budget_left_bytes: {
    kind: 'gauge',
    help: 'Log that may still be written before Postgres may drop the slot; +Inf without a limit (max_slot_wal_keep_size).',
    labels: ['slot'],
  },
  headwater_slot_retained_bytes: {
    kind: 'gauge',
    help: 'Log that Postgres keeps for the slot: because the service is behind, or a transaction is open for long.',
    labels: ['slot'],
  },
  headwater_snapshot_rows_total: {
    kind: 'counter',
    help: 'Rows read by first copies of tables.',
    labels: [],
  },
  headwater_storage_compacted_operations_total: {
    kind: 'counter',
    help: 'Operations that compaction turned into a MOVE, and operations, MOVEs among them, that it took into a CLEAR.',
    labels: ['into'],
  },
  headwater_storage_compactions_count: {
    kind: 'gauge',
    help: 'Compactions at work: 1 or 0.',
    labels: [],
  },
  headwater_storage_freed_bytes_total: {
    kind: 'counter',
    help: 'Bytes of bucket storage that compaction freed for what is stored next; the files do not become smaller.',
    labels: [],
  },
  headwater_storage_reappended_bytes_total: {
    kind: 'counter',
    help: 'Bytes of the rows that were put into their bucket once more: what a client downloads that has all of these buckets.',
    labels: [],
  },
  headwater_storage_reappended_operations_total: {
    kind: 'counter',
    help: 'Old rows that were put into their bucket once more, so that compaction can take away what comes after them.',
    labels: [],
  },
  headwater_storage_size_bytes: {
    kind: 'gauge',
    help: 'Size of bucket storage on disk, with its write-ahead log, which keeps up to 64 MiB.',
    labels: [],
  },
  headwater_streams_revoked_total: {
    kind: 'counter',
    help: 'Sync streams and WebSocket connections that ended because their token was revoked.',
    labels: [],
  },
  headwater_sync_checkpoint_seconds: {
    kind: 'histogram',
    help: 'Time from a commit being shown until all its lines are handed to a connection that it concerns.',
    labels: [],
  },
  headwater_sync_operations_sent_total: {
    kind: 'counter',
    help: 'Operations sent to clients.',
    labels: [],
  },
  headwater_sync_sent_bytes_total: {
    kind: 'counter',
    help: 'Bytes of sync streams sent to clients, before compression.',
    labels: [],
  },
  headwater_sync_streams_count: {
    kind: 'gauge',
    help: 'Sync streams that are open, by transport: http or websocket.',
    labels: ['transport'],
  },
  headwater_tokens_refused_total: {
    kind: 'counter',
    help: 'Client tokens that were refused, by error code.',
    labels: ['code'],
  },
  headwater_websocket_closed_total: {
    kind: 'counter',
    help: 'WebSocket connections that have ended, by reason; `client-left` is the ordinary one.',
    labels: ['reason'],
  },
  headwater_websocket_connections_count: {
    kind: 'gauge',
    help: 'WebSocket connections that are open, whether or not they are set up.',
    labels: [],
  },
  headwater_worker_restarts_total: {
    kind: 'counter',
    help: 'Worker processes that were started because one has ended.',
    labels: [],
  },
  headwater_workers_count: {
    kind: 'gauge',
    help: 'Worker processes that run; 0 where the process that replicates serves clients itself.',
    labels: [],
  },
  headwater_write_checkpoints_pending_age_seconds: {
    kind: 'gauge',
    help: 'How long the oldest write checkpoint has been waiting to be announced; grows with the lag of replication.',
    labels: [],
  },
  headwater_write_checkpoints_pending_count: {
    kind: 'gauge',
    help: 'Write checkpoints that were given out, or replicated, and are not announced yet.',
    labels: [],
  },
  headwater_write_checkpoints_total: {
    kind: 'counter',
    help: 'Write checkpoints that clients asked for.',
    labels: [],
  },
} as const satisfies Record<string, MetricEntry>

export type MetricEntry = {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** What several processes say together, where it is not the sum. */
  readonly aggregator?: 'max'
}

type MetricTable = typeof METRIC_TABLE
type NamesOf<Kind extends MetricEntry['kind']> = {
  [Name in keyof MetricTable]: MetricTable[Name]['kind'] extends Kind ? Name : never
}[keyof MetricTable]

export type CounterName = NamesOf<'counter'>
export type GaugeName = NamesOf<'gauge'>
export type HistogramName = NamesOf<'histogram'>
export type MetricLabels = Readonly<Record<string, string>>

/** What the rooms of the service count. A value is a few hundred nanoseconds; call once a batch, not once a row. */
export type Metrics = {
  readonly add: (name: CounterName, by: number, labels?: MetricLabels) => void
  readonly set: (name: GaugeName, value: number, labels?: MetricLabels) => void
  /** Raises (or lowers) a gauge. */
  readonly change: (name: GaugeName, by: number, labels?: MetricLabels) => void
  readonly observe: (name: HistogramName, value: number) => void
}

/** 1 ms … 30 s, for everything that is timed. */
const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Registers every metric in `registry`, which belongs to the caller; nothing global is touched. */
export function createMetrics(registry: Registry): Metrics {
  const registers = [registry]
  const counters = new Map<string, Counter>()
  const gauges = new Map<string, Gauge>()
  const histograms = new Map<string, Histogram>()
  const entries: [string, MetricEntry][] = Object.entries(METRIC_TABLE)
  for (const [name, { kind, help, labels, aggregator = 'sum' }] of entries) {
    const settings = { name, help, labelNames: [...labels], registers, aggregator } as const
    if (kind === 'counter') counters.set(name, new Counter(settings))
    else if (kind === 'gauge') gauges.set(name, new Gauge(settings))
    else histograms.set(name, new Histogram({ ...settings, buckets: SECONDS_BUCKETS }))
  }
  return {
    add: (name, by, labels = {}) => counters.get(name)?.inc(labels, by),
    set: (name, value, labels = {}) => gauges.get(name)?.set(labels, value),
    change: (name, by, labels = {}) => gauges.get(name)?.inc(labels, by),
    observe: (name, value) => histograms.get(name)?.observe(value),
  }
}
