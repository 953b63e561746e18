import type { Branded } from './branded.ts'
import type { Checksum } from './checksum.ts'
import type { OpId } from './op-id.ts'

/** Opaque to clients; never starts with `$`, which is theirs. */
export type BucketName = Branded<string, 'BucketName'>

export function toBucketName(text: string): BucketName {
  return text as BucketName
}

/** One entry of a bucket's history. */
export type Operation = Put | Remove | Move | Clear

export type Put = {
  readonly kind: 'put'
  readonly opId: OpId
  readonly checksum: Checksum
  /** Table on the client. */
  readonly type: string
  readonly id: string
  /** Names the source row; the same for every operation of that row. */
  readonly subkey: string
  /** The row as the text of a JSON object, passed through to the byte. */
  readonly data: string
}

export type Remove = {
  readonly kind: 'remove'
  readonly opId: OpId
  readonly checksum: Checksum
  readonly type: string
  readonly id: string
  readonly subkey: string
}

/** Stands where a superseded operation was; keeps its id and checksum. */
export type Move = { readonly kind: 'move'; readonly opId: OpId; readonly checksum: Checksum }

/** Replaces everything before it in the bucket; its checksum is the sum of what it replaced. */
export type Clear = { readonly kind: 'clear'; readonly opId: OpId; readonly checksum: Checksum }
