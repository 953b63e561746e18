import { HeadwaterError } from '@headwater/protocol'
import { checkPlanAgainstTables, compileSyncConfig, type Diagnostic, type Plan } from '@headwater/sync-config'
import type { SourceReport } from '../postgres/check-source.ts'
import type { Replicator } from './replicator.ts'

export type Compiled = { readonly plan: Plan; readonly diagnostics: readonly Diagnostic[] }

/** Throws `bad-sync-config`, showing every place that is wrong. */
export function compileOrThrow(content: string, path: string): Compiled {
  const result = compileSyncConfig(content)
  if (result.kind === 'refused') throw badSyncConfig(path, result.diagnostics)
  return result
}

/**
 * Holds a plan against the source: throws `source-not-ready` with everything to run when the set-up is incomplete and
 * cannot be completed by the service. Warns of tables and columns that do not exist.
 */
export function checkOrThrow({ plan, diagnostics }: Compiled, source: SourceReport): Compiled {
  const blocking = source.problems.filter(({ severity }) => severity === 'error')
  if (blocking.length > 0) {
    const lines = blocking.map(({ message, remedy }) => `  - ${message}\n      ${remedy}`)
    throw new HeadwaterError('source-not-ready', `Cannot replicate from this database:\n${lines.join('\n')}`)
  }
  const found = checkPlanAgainstTables(plan, source.tables)
  return { plan, diagnostics: [...diagnostics, ...found] }
}

/** The replicator that runs now, exchanged when the sync config changes. */
export type Deployment = {
  readonly current: () => Replicator
  /**
   * Stops the replicator that runs and starts another with this plan, which builds everything anew if `isAnew`, else
   * when the plan is another one. Calls wait for each other.
   */
  readonly replace: (plan: Plan, isAnew?: boolean) => Promise<void>
  /** Settles after `stop`; rejects when a replicator can never work. */
  readonly ended: Promise<void>
  readonly stop: () => Promise<void>
}

export type StartOne = (plan: Plan, isAnew: boolean, signal: AbortSignal) => Replicator

export function deploy(plan: Plan, start: StartOne): Deployment {
  const over = Promise.withResolvers<void>()
  over.promise.catch(() => {
    // Whoever holds `ended` is told; without a holder the failure still stands in the status.
  })
  const startOne = (
    next: Plan,
    isAnew: boolean,
  ): { readonly replicator: Replicator; readonly stop: () => Promise<void> } => {
    const stopping = new AbortController()
    const replicator = start(next, isAnew, stopping.signal)
    const settled = replicator.ended.catch((error: unknown) => {
      over.reject(error)
    })
    return {
      replicator,
      stop: () => {
        stopping.abort()
        return settled
      },
    }
  }

  let running = startOne(plan, false)
  let exchange = Promise.resolve()
  let isStopped = false
  const exchangeFor = async (next: Plan, isAnew: boolean, before: Promise<void>): Promise<void> => {
    await before
    if (isStopped) return
    await running.stop()
    running = startOne(next, isAnew)
  }
  return {
    current: () => running.replicator,
    replace: (next, isAnew = false) => {
      exchange = exchangeFor(next, isAnew, exchange)
      return exchange
    },
    ended: over.promise,
    stop: async () => {
      isStopped = true
      await exchange
      await running.stop()
      over.resolve()
    },
  }
}

function badSyncConfig(path: string, diagnostics: readonly Diagnostic[]): HeadwaterError {
  const places = diagnostics
    .filter(({ severity }) => severity === 'error')
    .map(({ message, line, column, excerpt }) => `${path}:${line}:${column}: ${message}\n${excerpt}`)
  return new HeadwaterError('bad-sync-config', `Cannot use this sync config:\n${places.join('\n')}`)
}
