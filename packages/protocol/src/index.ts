export type { Branded } from './branded.ts'
export { addChecksums, CHECKSUM_ZERO, subtractChecksums, toChecksum, toSignedChecksum } from './checksum.ts'
export type { Checksum } from './checksum.ts'
export { BsonRequestSplitter, decodeBson, encodeBson } from './bson.ts'
export { BSON_DEPTH_MAX } from './bson-reader.ts'
export { decodeCheckpointRequest } from './decode-checkpoint-request.ts'
export type { CheckpointRequest } from './decode-checkpoint-request.ts'
export { decodeBsonLine, decodeLine } from './decode-line.ts'
export { decodeSyncRequest, SyncRequestDecoder } from './decode-request.ts'
export { encodeBsonElements, encodeDataLine } from './encode-data-line.ts'
export type { DataLineHeader, EncodedBody } from './encode-data-line.ts'
export { encodeCheckpointLine, type CheckpointLine } from './encode-checkpoint-line.ts'
export { encodeLine } from './encode-line.ts'
export type { ControlLine, LineFormat } from './encode-line.ts'
export { encodeOperation, formatOperation } from './encode-operation.ts'
export type { OperationFormat, UnnumberedOperation } from './encode-operation.ts'
export { encodeSyncRequest } from './encode-request.ts'
export { ERROR_TABLE, HeadwaterError } from './errors.ts'
export type { ErrorCode, ErrorEntry } from './errors.ts'
export type {
  BucketEntry,
  BucketReason,
  Checkpoint,
  CheckpointDiff,
  LimitFigures,
  Line,
  OperationBatch,
  StreamEndReason,
  StreamEntry,
  StreamError,
  UnknownLine,
} from './line.ts'
export { OP_ID_MAX, OP_ID_ZERO, parseOpId, toOpId } from './op-id.ts'
export type { OpId } from './op-id.ts'
export { escapeLineEnds } from './ndjson.ts'
export { toBucketName } from './operation.ts'
export type { BucketName, Clear, Move, Operation, Put, Remove } from './operation.ts'
export type { JsonObject, JsonValue, RequestObject, RequestValue, StreamSubscription, SyncRequest } from './request.ts'
export { elementTooLong, REQUEST_PART_BYTES, REQUEST_VALUE_BYTES_MAX, restTooLong } from './request-parts.ts'
export type { LongArray, RequestPart } from './request-parts.ts'
export { LINE_BYTES_MAX, splitBson, splitNdjson } from './split-lines.ts'
export { documentsOf, transcodeToBson } from './transcode-operations.ts'
export type { OperationBytes } from './transcode-operations.ts'
export { writeCheckpointKey } from './write-checkpoint-key.ts'
