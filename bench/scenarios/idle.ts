import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServiceProcess } from '@headwater/testkit'
import { compileService } from '../compiled-service.ts'
import type { Figure } from '../report.ts'
import type { Scenario } from '../scenario.ts'
import { openStage } from '../stage.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner = auth.user_id()
`

const MEBIBYTE = 1024 * 1024

/** What a service costs that nobody uses. */
export const scenario: Scenario = {
  name: 'idle',
  run: async function* () {
    await using stage = await openStage('CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL)')
    await using cleanup = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'headwater-compiled-'))
    cleanup.defer(() => rm(folder, { recursive: true, force: true }))
    const compiledEntry = await compileService(folder)

    const startedAtMs = performance.now()
    const service = await stage.startService(SYNC_CONFIG, { compiledEntry })
    await service.untilReady()
    yield {
      name: 'start to ready, new slot and empty table',
      value: performance.now() - startedAtMs,
      unit: 'ms',
      budget: { valueMax: 1_000 },
      verified: 'readiness probe',
    }
    yield { ...(await memoryOf(service, 'memory of an idle service')), budget: { valueMax: 120 } }
    const fromSources = await stage.startService(SYNC_CONFIG)
    await fromSources.untilReady()
    yield await memoryOf(fromSources, 'memory of an idle service that is run from its TypeScript')
    await fromSources.stop()
  },
}

async function memoryOf(service: ServiceProcess, name: string): Promise<Figure> {
  const { residentBytes } = await service.readUsage()
  return { name, value: residentBytes / MEBIBYTE, unit: 'MiB', verified: 'readiness probe' }
}
