/** Every code, what it means to a client, and the words an operator reads. `docs/reference/errors.md` is checked against it. */
export const ERROR_TABLE = {
  'auth-audience': {
    status: 401,
    wireCode: 'PSYNC_S2105',
    retry: 'never',
    help: 'The token has no `aud` claim that this service accepts. Set the audience of the service (`auth.audience`) and of the token issuer to the same value.',
  },
  'auth-bad-token': {
    status: 401,
    wireCode: 'PSYNC_S2101',
    retry: 'never',
    help: 'The token is malformed, signed with an unknown key or algorithm, or lacks a claim. The log line `token-refused` says which; clients fetch a new token by themselves.',
  },
  'auth-expired': {
    status: 401,
    wireCode: 'PSYNC_S2103',
    retry: 'never',
    help: 'The token has expired. Clients fetch a new one by themselves; if it repeats, compare the clocks of the token issuer and the service.',
  },
  'auth-lifetime': {
    status: 401,
    wireCode: 'PSYNC_S2104',
    retry: 'never',
    help: 'The token is valid for longer than the service allows (24 hours unless set). Issue tokens with a nearer `exp`.',
  },
  'auth-missing': {
    status: 401,
    wireCode: 'PSYNC_S2106',
    retry: 'never',
    help: 'The request carries no token. Send `Authorization: Bearer <token>`; `headwater token` issues one for development.',
  },
  'auth-operator': {
    status: 401,
    wireCode: 'PSYNC_S2101',
    retry: 'never',
    help: 'The call needs a token of an operator. Put one into `api.tokens` and send it as `Authorization: Token <token>`; without any, every call is refused.',
  },
  'auth-revoked': {
    status: 401,
    wireCode: 'PSYNC_S2107',
    retry: 'never',
    help: 'The token was revoked: by an operator, or by a row in the table of revocations. A token that is issued afterwards is accepted; clients fetch one by themselves.',
  },
  'bad-bson': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A BSON document cannot be read. A proxy that changes or cuts bodies is the usual reason.',
  },
  'bad-endpoint': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The address of the service must be http(s), without a slash at its end.',
  },
  'bad-line': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A line of the sync stream cannot be read. A proxy that changes the stream is the usual reason; otherwise the versions of client and service do not fit.',
  },
  'bad-lsn': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A log position looks like 16/B374D848: two hexadecimal numbers joined by a slash.',
  },
  'bad-op-id': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'An op id is a decimal number between 0 and 9223372036854775807, sent as a string.',
  },
  'bad-parameters': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The parameters of a bucket definition cannot be evaluated for this client: its claims or connection parameters are not what the definition expects. The message names the definition and what is wrong.',
  },
  'bad-plan': {
    status: 503,
    wireCode: 'PSYNC_S2302',
    retry: 'after-operator',
    help: 'The compiled sync config in storage was made by another version of Headwater. Deploy the config again.',
  },
  'bad-preview-input': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The data or the request given to `headwater preview` is not in the form that docs/reference/sync-config.md describes.',
  },
  'bad-request': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The request does not have the form the service expects. The message names every field that is wrong.',
  },
  'bad-settings': {
    status: 500,
    wireCode: 'PSYNC_S3201',
    retry: 'never',
    help: 'A setting of the service is missing, misspelt or out of range. The message names each one.',
  },
  'bad-source-url': {
    status: 500,
    wireCode: 'PSYNC_S1109',
    retry: 'never',
    help: 'The connection URL of the source database cannot be read. It looks like postgres://user:password@host:5432/database?sslmode=verify-full.',
  },
  'bad-sync-config': {
    status: 422,
    wireCode: 'PSYNC_R0001',
    retry: 'never',
    help: 'The sync config cannot be used. The message shows each place; `headwater check` shows them too.',
  },
  'bad-sync-options': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'An option of connect() or subscribe() is out of range. The message names it.',
  },
  'bad-wal-message': {
    status: 500,
    wireCode: 'PSYNC_S1120',
    retry: 'backoff',
    help: 'A message of the replication stream could not be decoded. Headwater reads it again after reconnecting; report it if it stays.',
  },
  'bad-write-checkpoint': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A write checkpoint is a decimal number, given as a string.',
  },
  'checksum-mismatch': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'What was downloaded does not add up to what the service announced. The client downloads the named buckets again.',
  },
  'compaction-running': {
    status: 409,
    wireCode: 'PSYNC_S4107',
    retry: 'never',
    help: 'A compaction that an operator has asked for is still at work, and looks through everything. `GET /api/admin/v1/compact` says how far it is; ask for another one when it has ended.',
  },
  'connection-closed': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The local database was closed, or its worker ended, while a statement was waiting. Nothing half-written is kept; run it again.',
  },
  'custom-write-checkpoints': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The sync config has an event named `write_checkpoints` or `checkpoint_requests`, so the app’s backend makes write checkpoints; this client asks the service, and the backend has written none for it. docs/guides/write-checkpoints.md shows how it is done. Remove the event to let the service make them.',
  },
  'database-in-use': {
    status: 423,
    wireCode: 'PSYNC_S2001',
    retry: 'after-operator',
    help: 'Another tab or window of this browser has the local database open. Use that one, or close it and reload this page.',
  },
  'database-missing': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The directory for the local database does not exist. Create it first.',
  },
  'embedded-postgres-failed': {
    status: 500,
    wireCode: 'PSYNC_S3201',
    retry: 'never',
    help: 'The Postgres that comes with the command line could not be started. The message says why; a database of your own, named with --database-url, always works.',
  },
  internal: {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'Something failed that should not have. The log line `request-failed` has the cause and the stack; please report it.',
  },
  'jwks-address-refused': {
    status: 503,
    wireCode: 'PSYNC_S2203',
    retry: 'after-operator',
    help: 'The name of a key server stands for an address of a private network, which the service does not ask unless `auth.jwksPrivate` is true. Name a public server, or set it.',
  },
  'jwks-settings': {
    status: 500,
    wireCode: 'PSYNC_S3103',
    retry: 'never',
    help: 'A JWKS URL or a static key cannot be used. URLs are `http` or `https`; the message names the entry.',
  },
  'jwks-unavailable': {
    status: 503,
    wireCode: 'PSYNC_S2204',
    retry: 'backoff',
    help: 'The key server that verifies tokens did not answer with a key set. Tokens stay valid and clients retry; check `auth.jwksUrls` and the key server.',
  },
  'layout-unknown': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The local database file was written by a newer version or by another client. Update, or use a new file name.',
  },
  'lock-timeout': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'Another lock or transaction held the connection for too long; often one that waits for itself.',
  },
  'main-process-silent': {
    status: 503,
    wireCode: 'PSYNC_S2003',
    retry: 'backoff',
    help: 'A worker asked the process that replicates, and got no answer in time. Clients try again; look at the CPU and the memory of that process, and at the log.',
  },
  'no-active-sync-config': {
    status: 422,
    wireCode: 'PSYNC_S4104',
    retry: 'after-operator',
    help: 'No sync config serves clients yet, so there is none to show or to build again. `headwater status` shows how far the first copy is.',
  },
  'no-sync-config': {
    status: 500,
    wireCode: 'PSYNC_S2302',
    retry: 'backoff',
    help: 'No sync config serves clients yet: none was deployed, or its first copy is still running. Clients retry; `headwater status` shows the progress.',
  },
  'not-found': {
    status: 404,
    wireCode: 'PSYNC_S2002',
    retry: 'never',
    help: 'The service has no such path. Check the endpoint URL of the client, and that a proxy in front strips its prefix.',
  },
  'not-signed-in': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The app has no credentials for the service. Sign in; the client tries again by itself.',
  },
  'port-in-use': {
    status: 500,
    wireCode: 'PSYNC_S3201',
    retry: 'after-operator',
    help: 'Another process listens on the address. Stop it, or choose another port with `--port` or `http.port`.',
  },
  'read-only': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A statement that writes was run on a connection for reading. Use execute() or writeTransaction().',
  },
  'replication-behind': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'Replication has not reached the position of the source in time. It goes on by itself; `headwater status` shows the lag.',
  },
  'request-memory-full': {
    status: 429,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The requests that are open take all the memory there is for requests, or a quarter of it belongs to this user. Clients come back after the time in `Retry-After`; raise `limits.requestMemoryBytesMax` if they have long parameters.',
  },
  'request-too-large': {
    status: 413,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The request, or one part of it, is larger than the service reads; the message says which, and how large it may be. A client with a very long list of buckets should be granted fewer.',
  },
  'result-empty': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A query that must find a row found none. Use getOptional() where that is no error.',
  },
  'schema-busy': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The schema cannot change while the client syncs. Disconnect first.',
  },
  'schema-invalid': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'The schema given to the client has a name that is not allowed, or names something twice. The message says which.',
  },
  'service-unreachable': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'No service answers at the address given. Start it with `headwater serve` or `headwater dev`, or name its address with --url.',
  },
  'shutting-down': {
    status: 503,
    wireCode: 'PSYNC_S2003',
    retry: 'backoff',
    help: 'The service is stopping. Clients reconnect after their retry delay.',
  },
  'slot-in-use': {
    status: 503,
    wireCode: 'PSYNC_S1003',
    retry: 'backoff',
    help: 'Another connection reads the replication slot. Give each service a slot of its own, or stop the other one; Headwater keeps trying.',
  },
  'slot-lost': {
    status: 503,
    wireCode: 'PSYNC_S1146',
    retry: 'backoff',
    help: 'Postgres dropped the replication slot or the log it needs. Headwater makes a new slot and copies the tables again; raise max_slot_wal_keep_size to keep more log.',
  },
  'slow-reader': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'A client did not read what was sent to it, for too long or while too much waited for all, so its connection was cut. It connects again and goes on where it was; see `limits.stalledSecondsMax` and `limits.waitingBytesMax`.',
  },
  'source-auth-failed': {
    status: 503,
    wireCode: 'PSYNC_S1120',
    retry: 'after-operator',
    help: 'The source database refused the user or the password. Correct them in the connection URL.',
  },
  'source-database-missing': {
    status: 503,
    wireCode: 'PSYNC_S1120',
    retry: 'after-operator',
    help: 'The database named in the connection URL does not exist on the server. Create it or correct the URL.',
  },
  'source-failed': {
    status: 503,
    wireCode: 'PSYNC_S1120',
    retry: 'backoff',
    help: 'The source database answered with an error that Headwater did not expect. It keeps trying; the message has the words of Postgres.',
  },
  'source-not-ready': {
    status: 503,
    wireCode: 'PSYNC_S1141',
    retry: 'after-operator',
    help: 'The source database is not set up for replication. The message lists what is missing and the SQL to run.',
  },
  'source-tls-failed': {
    status: 503,
    wireCode: 'PSYNC_S1104',
    retry: 'after-operator',
    help: 'A TLS connection to the source database could not be made as sslmode asks. The message says which setting to change.',
  },
  'source-unreachable': {
    status: 503,
    wireCode: 'PSYNC_S1120',
    retry: 'backoff',
    help: 'The source database did not answer. Headwater keeps trying; clients keep what they have.',
  },
  'storage-busy': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'after-operator',
    help: 'The browser still keeps the file handles of the local database for another page. Close other tabs of the site and reload.',
  },
  'storage-failed': {
    status: 500,
    wireCode: 'PSYNC_S2404',
    retry: 'backoff',
    help: 'Bucket storage could not be read or written. The log has the cause; check the disk under `storage.path`.',
  },
  'storage-full': {
    status: 503,
    wireCode: 'PSYNC_S2404',
    retry: 'after-operator',
    help: 'The disk under `storage.path` is full. Nothing is lost: free some space and replication goes on by itself.',
  },
  'storage-locked': {
    status: 500,
    wireCode: 'PSYNC_S2402',
    retry: 'after-operator',
    help: 'Another Headwater process uses the directory `storage.path`. Stop it, or give this one another directory.',
  },
  'sync-config-deploying': {
    status: 409,
    wireCode: 'PSYNC_S4106',
    retry: 'backoff',
    help: 'A sync config is being deployed: the first copy of its tables runs. Wait until it is done; `headwater status` shows the progress.',
  },
  'sync-config-from-file': {
    status: 422,
    wireCode: 'PSYNC_S4105',
    retry: 'never',
    help: 'The sync config comes from the file that the service was started with. Change that file and start the service again.',
  },
  'sync-interrupted': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The connection to the service broke. The client reconnects by itself.',
  },
  'sync-refused': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The service refused the sync request. The message has its answer; the client tries again.',
  },
  'too-many-buckets': {
    status: 500,
    wireCode: 'PSYNC_S2305',
    retry: 'after-operator',
    help: 'The sync config grants this client more buckets or parameter results than the limit. Clients that know streams are served those that fit. Narrow the queries, or raise `limits.bucketsMax` or `limits.parameterResultsMax`.',
  },
  'too-many-connections': {
    status: 429,
    wireCode: 'PSYNC_S2304',
    retry: 'backoff',
    help: 'As many streams are open as the service allows. Raise `limits.connectionsMax` or add another process.',
  },
  'too-many-requests': {
    status: 429,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'As many calls of this kind are being answered as the service allows. Try again after the time in `Retry-After`.',
  },
  'too-many-user-connections': {
    status: 429,
    wireCode: 'PSYNC_S2304',
    retry: 'backoff',
    help: 'One user has as many streams open as one may. Raise `limits.userConnectionsMax` if many devices share a user id; otherwise look for a client that reconnects without closing.',
  },
  'too-many-user-requests': {
    status: 429,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'One user sends more requests than the service answers one user. Clients come back after the time in `Retry-After`; raise `limits.userRequestsPerSecond` if many devices share a user id.',
  },
  'transaction-ended': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A statement came after commit() or rollback() of its transaction. Start a new one.',
  },
  'truncated-stream': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The connection ended in the middle of a line. Clients reconnect and go on where they were.',
  },
  'unsupported-media-type': {
    status: 415,
    wireCode: 'PSYNC_S2004',
    retry: 'never',
    help: 'The body of a request is neither JSON nor plain text. Send `Content-Type: application/json`.',
  },
  'upload-postponed': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The backend could not apply an upload now: Postgres was away, or another transaction was in the way. The client sends it again; nothing is lost.',
  },
  'upload-refused': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The backend did not accept the upload. Nothing is lost; the client tries again.',
  },
  'upload-stalled': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'uploadData() returned without completing what it was given. Call complete() on the batch or transaction.',
  },
  'worker-failed': {
    status: 500,
    wireCode: 'PSYNC_S2001',
    retry: 'after-operator',
    help: 'A worker process ended before it could serve for the first time, so the service does not start. What it printed last says why; without `http.workers` the service serves clients from one process.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorEntry = {
  /** HTTP status when this reaches a client. */
  readonly status: number
  /** The code that clients of the PowerSync protocol look at. */
  readonly wireCode: string
  readonly retry: 'never' | 'backoff' | 'after-operator'
  /** One or two sentences: what it means and what to do. Names a command where there is one. */
  readonly help: string
}

export type ErrorCode = keyof typeof ERROR_TABLE

/** The world misbehaved, or input was bad. Decide by `code`, never by the message. */
export class HeadwaterError extends Error {
  override readonly name = 'HeadwaterError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
