import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createManualClock, readSeeds, seededRandom } from '@headwater/testkit'
import type { ManualClock, Random } from '@headwater/testkit'
import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { createUploader } from '../upload/backend-uploader.ts'
import { HeadwaterDatabase } from './index.ts'
import { createWorld, REFUSED_NAME, UPLOAD_URL } from './simulated-world.test-parts.ts'
import type { World } from './simulated-world.test-parts.ts'
import { settle } from './stopped-clock.test-parts.ts'

const schema = new Schema({ lists: new Table({ name: column.text }) })

/** `SEED=7 SEEDS=200 npx vitest run --project unit packages/client/src/node/simulation` runs seeds 7 … 206. */
const SEEDS = readSeeds(process.env, 3)

const STEPS = 150

/**
 * Simulated time in which everything must be right again once nothing is broken: the longest Retry-After here, drawn out by
 * half, the silence after which a stream is dead, and a pause of a minute. With a service that chooses the numbers, a lost
 * one is given up after a patience that has doubled each time before.
 */
const CONVERGE_MS = { requests: 4 * 60_000, older: 65 * 60_000 }

const ACTIONS = {
  write: 30,
  'write something refused': 3,
  'write at the source': 10,
  network: 6,
  service: 6,
  backend: 5,
  replication: 3,
  heal: 8,
  'cut streams': 6,
  'lose storage': 1,
  'lose numbers': 1,
  restart: 4,
  'go offline': 2,
  'come online': 4,
  wake: 2,
} as const

describe.each(SEEDS)('after faults of every kind (SEED=%i)', (seed) => {
  test.each(['requests', 'older'] as const)(
    'devices converge and their queues are empty, with a service of the kind: %s',
    async (kind) => {
      const random = seededRandom(seed)
      const clock = createManualClock()
      const world = createWorld({ clock, random: random.fork(), offersRequests: kind === 'requests' })
      const directory = mkdtempSync(join(tmpdir(), 'headwater-simulation-'))
      await using stack = new AsyncDisposableStack()
      stack.defer(() => rmSync(directory, { recursive: true, force: true }))
      const devices: Device[] = []
      for (const name of ['one', 'two']) {
        const device = await openDevice({ name, directory, world, clock, random: random.fork() })
        stack.defer(() => device.close())
        devices.push(device)
      }
      for (let step = 0; step < STEPS; step += 1) {
        await act(random, world, devices)
        await pass(clock, world, random.integer(random.chance(0.1) ? 60 : 4))
        for (const device of devices) expect(await device.findVanished(), `step ${step}`).toEqual([])
      }
      await lastBlow(random, clock, world, devices)
      world.heal()
      // Nothing is begun anew but by those who were told to end: what was stuck before would stay so.
      for (const device of devices) if (device.isOffline()) await device.connect()
      const first = await converge(clock, world, devices, CONVERGE_MS[kind])
      // What has converged must still be alive.
      for (const device of devices) await device.write('at last')
      const second = await converge(clock, world, devices, CONVERGE_MS[kind])
      expect([first, second].every((ms) => ms < CONVERGE_MS[kind])).toBe(true)
    },
  )
})

type Device = {
  readonly write: (name: string) => Promise<void>
  readonly connect: () => Promise<void>
  readonly disconnect: () => Promise<void>
  /** It was told to be, and not to connect again since. */
  readonly isOffline: () => boolean
  readonly restart: () => Promise<void>
  readonly wake: () => void
  readonly close: () => Promise<void>
  /** What is not as it should be. */
  readonly findTrouble: () => Promise<string | undefined>
  /** Rows that were written here, not refused, and are gone: rows are never deleted. */
  readonly findVanished: () => Promise<string[]>
}

async function openDevice(parts: {
  readonly name: string
  readonly directory: string
  readonly world: World
  readonly clock: ManualClock
  readonly random: Random
}): Promise<Device> {
  const { name, directory, world, clock, random } = parts
  const own: string[] = []
  let wake = () => {}
  let isOffline = false
  const open = async () => {
    const db = new HeadwaterDatabase({
      schema,
      database: { dbFilename: `${name}.db`, dbLocation: directory },
      fetch: world.fetch,
      clock,
      random: random.fraction,
      logger: { log: () => {} },
      listenForWakeUps: (listener) => {
        wake = listener
        return () => {}
      },
    })
    await db.init()
    return db
  }
  let db = await open()
  const connect = async () => {
    isOffline = false
    const fetchCredentials = async () => {
      if (random.chance(0.05)) throw new Error('the app cannot sign in now')
      return { endpoint: 'http://service.test', token: world.issueToken('ann') }
    }
    void db.connect({
      fetchCredentials,
      uploadData: createUploader({ url: UPLOAD_URL, fetch: world.fetch, timeoutMs: 20 }),
    })
    await settle()
  }
  const readRows = async () =>
    new Map(
      (await db.getAll<{ id: string; name: string }>('SELECT id, name FROM lists')).map((row) => [row.id, row.name]),
    )
  await connect()
  return {
    connect,
    disconnect: () => {
      isOffline = true
      return ended(db.disconnect(), clock)
    },
    isOffline: () => isOffline,
    wake: () => wake(),
    close: () => ended(db.close(), clock),
    write: async (text) => {
      const id = `${name}-${own.length + 1}`
      await db.execute('INSERT INTO lists(id, name) VALUES (?, ?)', [id, text])
      own.push(id)
    },
    restart: async () => {
      await ended(db.close(), clock)
      db = await open()
      await connect()
    },
    findTrouble: async () => {
      const { count } = await db.getUploadQueueStats()
      if (count > 0) return `${name}: ${count} writes are queued; ${JSON.stringify(db.currentStatus)}`
      const rows = await readRows()
      const wrong = [...new Set([...rows.keys(), ...world.rows.keys()])].filter(
        (id) => rows.get(id) !== world.rows.get(id),
      )
      return wrong.length === 0 ? undefined : `${name}: ${wrong.join()} are wrong; ${JSON.stringify(db.currentStatus)}`
    },
    findVanished: async () => {
      const rows = await readRows()
      return own.filter((id) => !rows.has(id) && !world.rejected.has(id))
    },
  }
}

async function act(random: Random, world: World, devices: readonly Device[]): Promise<void> {
  const device = random.pick(devices)
  const { faults } = world
  switch (random.weighted(ACTIONS)) {
    case 'write':
      return device.write('as written')
    case 'write something refused':
      return device.write(REFUSED_NAME)
    case 'write at the source':
      return world.writeAtSource(`source-${random.integer(20)}`, random.uuid())
    case 'network':
      faults.network = random.pick(['down', 'hang', 'lose-answers'])
      if (faults.network === 'down') world.cutStreams('reset')
      return
    case 'service':
      faults.service = random.pick(['down', 'busy', 'refuses-tokens'])
      if (faults.service === 'down') world.cutStreams(random.pick(['reset', 'end']))
      return
    case 'backend':
      faults.backend = random.pick(['down', 'busy', 'lose-answers'])
      return
    case 'replication':
      faults.replication = 'stalled'
      return
    case 'heal':
      return world.heal()
    case 'cut streams':
      return world.cutStreams(random.pick(['reset', 'truncate', 'silence', 'end', 'error']))
    case 'lose storage':
      return world.lose('storage')
    case 'lose numbers':
      return world.lose('numbers')
    case 'restart':
      return device.restart()
    case 'go offline':
      return device.disconnect()
    case 'come online':
      return device.connect()
    case 'wake':
      return device.wake()
  }
}

/** What is hardest to recover from is to happen last, with all devices at work. */
async function lastBlow(random: Random, clock: ManualClock, world: World, devices: readonly Device[]): Promise<void> {
  world.heal()
  await pass(clock, world, 70)
  const { faults } = world
  switch (random.pick(['silence', 'hanging calls', 'forgotten numbers', 'lost storage', 'refused tokens'])) {
    case 'silence':
      world.cutStreams('silence')
      return world.writeAtSource('source-last', 'unheard')
    case 'hanging calls':
      faults.network = 'hang'
      world.cutStreams('reset')
      for (const device of devices) await device.write('into the void')
      return pass(clock, world, 30)
    case 'forgotten numbers':
      faults.replication = 'stalled'
      for (const device of devices) await device.write('awaited')
      await pass(clock, world, 5)
      return world.lose('numbers')
    case 'lost storage':
      faults.replication = 'stalled'
      for (const device of devices) await device.write('awaited')
      await pass(clock, world, 5)
      return world.lose('storage')
    case 'refused tokens':
      faults.service = 'refuses-tokens'
      world.cutStreams('reset')
      return pass(clock, world, 130)
  }
}

/** Lets simulated time pass, second by second. */
async function pass(clock: ManualClock, world: World, seconds: number): Promise<void> {
  await settle()
  for (let second = 0; second < seconds; second += 1) {
    await clock.advance(1000)
    world.tick()
    await settle()
  }
}

/** Returns how long it took. */
async function converge(
  clock: ManualClock,
  world: World,
  devices: readonly Device[],
  limitMs: number,
): Promise<number> {
  const startMs = clock.monotonicMs()
  for (;;) {
    const troubles: string[] = []
    for (const device of devices) troubles.push((await device.findTrouble()) ?? '')
    const elapsedMs = clock.monotonicMs() - startMs
    if (troubles.every((trouble) => trouble === '')) return elapsedMs
    if (elapsedMs >= limitMs) throw new Error(`Not converged after ${elapsedMs / 1000} s:\n${troubles.join('\n')}`)
    await pass(clock, world, 1)
  }
}

/** Some ends wait a while for what may be about to end: time must pass for them. */
async function ended(end: Promise<void>, clock: ManualClock): Promise<void> {
  const over = end.then(() => 'over' as const)
  const second = async () => {
    await settle()
    await clock.advance(1000)
    return 'not yet' as const
  }
  while ((await Promise.race([over, second()])) === 'not yet');
}
