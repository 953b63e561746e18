/** Releases of `@powersync/node`, each on a database file of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { column, PowerSyncDatabase, Schema, Table } from '@powersync/node'
import * as node013 from './clients/node-0.13/sdk.ts'
import * as node018 from './clients/node-0.18/sdk.ts'
import { type App, createDevice, createOfficialLogger, type Device, type OfficialDatabase, TABLES } from './device.ts'

export type NodeRelease = '1.1' | '0.18' | '0.13'

/** `accept` takes the place of what the client says about the formats that it reads; only 1.1 lets one change it. */
export type NodeClient = { readonly release: NodeRelease; readonly accept?: string | undefined }

const ROUNDING_SQLITE = new URL('rounding-sqlite.ts', import.meta.url).href

let lastDatabase = 0

export async function openNodeDevice({ release, accept }: NodeClient, app: App): Promise<Device> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-official-'))
  const said: string[] = []
  const options = {
    database: {
      // Releases lock each other out by the name alone.
      dbFilename: `app-${++lastDatabase}.db`,
      dbLocation: folder,
      implementation: { type: 'node:sqlite' },
      ...(release === '1.1' ? {} : { openWorker: openRoundingWorker }),
    },
    logger: createOfficialLogger(said),
    ...(accept === undefined ? {} : { remoteOptions: { customFetch: createFetch(accept) } }),
  }
  const device = createDevice(OPEN[release](options), app, said)
  return {
    ...device,
    close: async () => {
      await device.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** In the words of the older releases. */
function openRoundingWorker(...[file, options]: ConstructorParameters<typeof Worker>): Worker {
  return new Worker(file, { ...options, execArgv: ['--import', ROUNDING_SQLITE] })
}

type Open = (options: object) => OfficialDatabase

const OPEN: { readonly [Release in NodeRelease]: Open } = {
  '1.1': createOpen({ PowerSyncDatabase, Schema, Table, column }),
  '0.18': createOpen(node018),
  '0.13': createOpen(node013),
}

/** What the releases export, as far as it is needed; their types do not fit each other. */
type Sdk = { readonly [Name in 'PowerSyncDatabase' | 'Schema' | 'Table']: unknown } & {
  readonly column: { readonly text: unknown; readonly integer: unknown; readonly real: unknown }
}

type Make<Made> = new (options: object) => Made

function createOpen({ PowerSyncDatabase, Schema, Table, column }: Sdk): Open {
  const MadeTable = Table as Make<object>
  const MadeSchema = Schema as Make<object>
  const MadeDatabase = PowerSyncDatabase as Make<OfficialDatabase>
  const tables = Object.entries(TABLES).map(([name, columns]) => {
    const typed = Object.entries(columns).map(([columnName, type]) => [columnName, column[type]])
    return [name, new MadeTable(Object.fromEntries(typed) as object)]
  })
  return (options) => new MadeDatabase({ schema: new MadeSchema(Object.fromEntries(tables) as object), ...options })
}

function createFetch(accept: string): typeof fetch {
  return (input, init) => {
    const headers = new Headers(init?.headers)
    if (headers.get('accept')?.includes('bson-stream') === true) headers.set('accept', accept)
    return fetch(input, { ...init, headers })
  }
}
