import type { RequestObject, SyncRequest } from './request.ts'

/**
 * The body of `POST /sync/stream`. Fields that no current service reads but older ones want
 * (`include_checksum`, `binary_data`) are sent as every client sends them.
 */
export function encodeSyncRequest(request: SyncRequest): RequestObject {
  return {
    buckets: request.buckets.map(({ name, after }) => ({ name, after: `${after}` })),
    include_checksum: true,
    raw_data: request.rawData,
    binary_data: true,
    ...(request.clientId === undefined ? {} : { client_id: request.clientId }),
    parameters: request.parameters,
    ...(Object.keys(request.appMetadata).length === 0 ? {} : { app_metadata: request.appMetadata }),
    streams: {
      include_defaults: request.includeDefaults,
      subscriptions: request.subscriptions.map(({ stream, parameters, overridePriority }) => ({
        stream,
        parameters,
        override_priority: overridePriority ?? null,
      })),
    },
  }
}
