declare module 'pg-copy-streams' {
  import type { Readable } from 'node:stream'
  import type { Submittable } from 'pg'

  /** The answer of `COPY … TO STDOUT` as a stream of bytes. */
  export type CopyToStream = Readable & Submittable & { readonly rowCount: number }

  export function to(text: string): CopyToStream
}
