export { systemClock } from './clock.ts'
export type { Clock } from './clock.ts'
export type { BackendConnector, Credentials, SyncOptions, UploadSource, WriteCheckpointNumber } from './connector.ts'
export { HeadwaterDatabase } from './database.ts'
export type {
  CloseOptions,
  DatabaseListener,
  DatabaseParts,
  DisconnectAndClearOptions,
  HeadwaterDatabaseOptions,
  WaitForFirstSyncOptions,
} from './database-options.ts'
export { createConsoleLogger } from './logger.ts'
export type { Logger, LogLevel, LogRecord } from './logger.ts'
export { Column, column, ColumnType } from './schema/column.ts'
export type { BaseColumnType, ColumnsDefinition, ExtractColumnValueType } from './schema/column.ts'
export { Schema } from './schema/schema.ts'
export type { SchemaTypes, TablesDefinition } from './schema/schema.ts'
export { Index, IndexedColumn } from './schema/table-index.ts'
export { ResolvedTable, Table } from './schema/table.ts'
export type { ResolvedTableOptions, RowType, TableOptions, TrackPreviousOptions } from './schema/table.ts'
export type { SqliteConnection, SqliteDriver, SqliteValue, StatementResult } from './sqlite/driver.ts'
export type { QueryParam, QueryResult, RawQueryResult, ResultSet, SqliteRecord } from './sqlite/query-result.ts'
export type { LockContext, Transaction } from './sqlite/session.ts'
export { SqliteError } from './sqlite/sqlite-error.ts'
export { SyncStatus } from './sync/status.ts'
export type {
  ProgressWithOperations,
  SyncDataFlowStatus,
  SyncPriorityStatus,
  SyncProgress,
  SyncStreamDescription,
  SyncStreamStatus,
  SyncSubscriptionDescription,
} from './sync/status.ts'
export type { SyncStream, SyncStreamSubscribeOptions, SyncStreamSubscription } from './sync/sync-stream.ts'
export { createUploader } from './upload/backend-uploader.ts'
export type { RejectedTransaction, UploaderOptions } from './upload/backend-uploader.ts'
export { CrudEntry, UpdateType } from './upload/crud.ts'
export type { CrudBatch, CrudTransaction, UploadQueueStats } from './upload/crud.ts'
export { ArrayComparator, DEFAULT_ROW_COMPARATOR, diffRows } from './watch/differential.ts'
export type { RowComparator, RowsDiff } from './watch/differential.ts'
export type { SQLOnChangeOptions, WatchOnChangeEvent, WatchOnChangeHandler } from './watch/on-change.ts'
export type {
  DifferentialListener,
  DifferentialWatchedQuery,
  DifferentialWatchOptions,
  Query,
  StandardWatchedQuery,
  StandardWatchOptions,
  WatchSettings,
} from './watch/query.ts'
export type { SQLWatchOptions, WatchHandler } from './watch/watch.ts'
export type {
  QueryDefinition,
  WatchedQuery,
  WatchedQueryListener,
  WatchedQueryOptions,
  WatchedQueryState,
} from './watch/watched-query.ts'
