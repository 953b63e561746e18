export type { Branded } from './branded.ts'
export { addChecksums, CHECKSUM_ZERO, subtractChecksums, toChecksum, toSignedChecksum } from './checksum.ts'
export type { Checksum } from './checksum.ts'
export { ERROR_TABLE, HeadwaterError } from './errors.ts'
export type { ErrorCode, ErrorEntry } from './errors.ts'
export type {
  BucketEntry,
  BucketReason,
  Checkpoint,
  CheckpointDiff,
  Line,
  OperationBatch,
  StreamEntry,
  StreamError,
  UnknownLine,
} from './line.ts'
export { OP_ID_MAX, OP_ID_ZERO, parseOpId, toOpId } from './op-id.ts'
export type { OpId } from './op-id.ts'
export { toBucketName } from './operation.ts'
export type { BucketName, Clear, Move, Operation, Put, Remove } from './operation.ts'
export type { JsonObject, JsonValue, StreamSubscription, SyncRequest } from './request.ts'
