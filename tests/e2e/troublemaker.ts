/** Breaks things at random, and mends each a few steps later. */
import type { Random, ServiceProcess, TestDatabase } from '@headwater/testkit'
import type { AppBackend } from './app-backend.ts'
import type { Device } from './device.ts'

export type Troublemaker = {
  /** Breaks one thing. */
  readonly breakSomething: (step: number) => Promise<void>
  /** Mends what is due. */
  readonly mendDue: (step: number) => Promise<void>
  readonly mendAll: () => Promise<void>
}

export type Targets = {
  readonly database: TestDatabase
  readonly service: ServiceProcess
  readonly backend: AppBackend
  readonly devices: readonly Device[]
}

const TROUBLES = {
  'cut a wire': 6,
  'slow a wire': 2,
  'stall a wire': 3,
  'refuse connections': 2,
  'take a device offline': 4,
  'restart a device': 4,
  'kill the service': 5,
  'stop the service': 1,
  'kill a worker': 4,
  'hang a worker': 1,
  'cut Postgres connections': 4,
  'backend down': 2,
  'backend loses its answer': 4,
} as const

const STEPS_BROKEN_MAX = 12
const LATENCY_MS_MAX = 40

const CUT_CONNECTIONS = `
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()`

type Mending = { readonly what: string; readonly dueStep: number; readonly mend: () => Promise<void> }

export function createTroublemaker(targets: Targets, random: Random, note: (what: string) => void): Troublemaker {
  const { database, service, backend, devices } = targets
  let mendings: readonly Mending[] = []

  const mendLater = (what: string, step: number, mend: () => void | Promise<void>): void => {
    const dueStep = step + random.between(1, STEPS_BROKEN_MAX)
    mendings = [...mendings, { what, dueStep, mend: async () => mend() }]
  }
  const mend = async (isDue: (mending: Mending) => boolean): Promise<void> => {
    const due = mendings.filter(isDue)
    mendings = mendings.filter((mending) => !isDue(mending))
    for (const mending of due) {
      note(`mend: ${mending.what}`)
      await mending.mend()
    }
  }

  const breakSomething = async (step: number): Promise<void> => {
    const trouble = random.weighted(TROUBLES)
    const device = random.pick(devices)
    const { proxy } = device
    note(`trouble: ${trouble} (${device.name})`)
    const mendWire = (): void => proxy.setFault({ kind: 'none' })
    switch (trouble) {
      case 'cut a wire':
        proxy.resetConnections()
        break
      case 'slow a wire':
        proxy.setFault({ kind: 'latency', delayMs: random.between(1, LATENCY_MS_MAX) })
        mendLater(trouble, step, mendWire)
        break
      case 'stall a wire':
        proxy.setFault({ kind: 'stall' })
        mendLater(trouble, step, mendWire)
        break
      case 'refuse connections':
        proxy.setFault({ kind: 'refuse' })
        proxy.resetConnections()
        mendLater(trouble, step, mendWire)
        break
      case 'take a device offline':
        if (!isBroken(device.name)) {
          await device.disconnect()
          mendLater(device.name, step, device.connect)
        }
        break
      case 'restart a device':
        if (!isBroken(device.name)) await device.restart()
        break
      case 'kill the service':
      case 'stop the service':
        if (!isBroken('service')) {
          await (trouble === 'kill the service' ? service.kill() : service.stop())
          mendLater('service', step, service.start)
        }
        break
      case 'kill a worker':
      case 'hang a worker':
        // One that hangs is killed by the service after a while.
        if (!isBroken('service')) signalWorker(trouble === 'kill a worker' ? 'SIGKILL' : 'SIGSTOP')
        break
      case 'cut Postgres connections':
        await database.sql(CUT_CONNECTIONS)
        break
      case 'backend down':
      case 'backend loses its answer':
        backend.setFault(trouble === 'backend down' ? 'down' : 'lost answer')
        mendLater(trouble, step, () => backend.setFault('none'))
        break
    }
  }
  const signalWorker = (signal: 'SIGKILL' | 'SIGSTOP'): void => {
    const pids = service.workerPids()
    if (pids.length === 0) return
    try {
      process.kill(random.pick(pids), signal)
    } catch {
      // It was killed a moment ago, and the one that takes its place has not started.
    }
  }
  const isBroken = (what: string): boolean => mendings.some((mending) => mending.what === what)

  return {
    breakSomething,
    mendDue: (step) => mend(({ dueStep }) => dueStep <= step),
    mendAll: () => mend(() => true),
  }
}
