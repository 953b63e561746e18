export {
  DatabaseContext,
  DatabaseContext as PowerSyncContext,
  useDatabase,
  useDatabase as usePowerSync,
} from './database-context.ts'
export type { QueryState } from './query-store.ts'
export { useQuery } from './use-query.ts'
export type { UseQueryOptions, UseQueryResult } from './use-query.ts'
export { useStatus } from './use-status.ts'
