/** Questions of a worker that only the main process can answer. */
import { type ErrorCode, HeadwaterError } from '@headwater/protocol'
import type { Operator } from '../http/operator.ts'
import type { Replicating } from '../serving.ts'

/** Calls of one worker that wait for their answers. Each belongs to a request that has a place, so they stay far below. */
const CALLS_MAX = 10_000

/** Some ask the source, and wait for it to answer. */
const TIMEOUT_MS = 60_000

/** What may be called: everything is answered later. */
export type MainFunctions = Pick<
  Replicating,
  'requestWriteCheckpoint' | 'requestCheckpointNumber' | 'readHealth' | 'readMetrics'
> &
  Omit<Operator, 'tokens' | 'describe'> & {
    /** For a stream of a user, under a number of the worker. Rejects with `too-many-user-connections`. */
    readonly takeStreamPlace: (place: number, userId: string) => Promise<void>
  }

export type MainCall = { readonly name: keyof MainFunctions; readonly given: readonly unknown[] }

export type CallResult =
  | { readonly kind: 'value'; readonly value: unknown }
  /** `code`: of an error that is known; the others are a defect, and `stack` says where. */
  | {
      readonly kind: 'failure'
      readonly code: ErrorCode | undefined
      readonly message: string
      readonly stack: string | undefined
    }

/** For one worker. */
export function toMainFunctions(
  { operator, ...others }: Replicating,
  streams: { readonly take: (place: number, userId: string) => void },
): MainFunctions {
  return { ...others, ...operator, takeStreamPlace: async (place, userId) => streams.take(place, userId) }
}

/** In the main process. Never rejects. */
export async function answerCall(functions: MainFunctions, { name, given }: MainCall): Promise<CallResult> {
  try {
    const answer = functions[name] as (...given: readonly unknown[]) => Promise<unknown>
    return { kind: 'value', value: await answer(...given) }
  } catch (error) {
    const code = error instanceof HeadwaterError ? error.code : undefined
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    return { kind: 'failure', code, message, stack }
  }
}

export type CallerParts = {
  readonly send: (message: { readonly kind: 'call'; readonly id: number; readonly call: MainCall }) => void
  readonly timeoutMs?: number
  readonly callsMax?: number
}

type Waiting = {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** In a worker: sends calls, and hands each result to whoever waits for it. */
export class Caller {
  readonly #parts: CallerParts
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(parts: CallerParts) {
    this.#parts = parts
  }

  /** As if it were here. Rejects with what the function throws there, or `main-process-silent`. */
  forward<Name extends keyof MainFunctions>(name: Name, timeoutMs?: number): MainFunctions[Name] {
    return ((...given: readonly unknown[]) => this.#call({ name, given }, timeoutMs)) as MainFunctions[Name]
  }

  /** A result for a call that was given up is dropped. */
  settle(id: number, result: CallResult): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.timer)
    if (result.kind === 'value') waiting.resolve(result.value)
    else waiting.reject(toError(result))
  }

  #call(call: MainCall, timeoutMs = this.#parts.timeoutMs ?? TIMEOUT_MS): Promise<unknown> {
    const { send, callsMax = CALLS_MAX } = this.#parts
    if (this.#waiting.size >= callsMax) return Promise.reject(silent(`${callsMax} calls wait for it`))
    this.#lastId += 1
    const id = this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => {
      this.#waiting.delete(id)
      reject(silent(`no answer to ${call.name} in ${timeoutMs / 1000} s`))
    }, timeoutMs).unref()
    this.#waiting.set(id, { resolve, reject, timer })
    send({ kind: 'call', id, call })
    return promise
  }
}

function toError({ code, message, stack }: Extract<CallResult, { kind: 'failure' }>): Error {
  if (code !== undefined) return new HeadwaterError(code, message)
  const error = new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}

function silent(reason: string): HeadwaterError {
  return new HeadwaterError('main-process-silent', `Cannot ask the process that replicates: ${reason}.`)
}
