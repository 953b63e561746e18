import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { ServiceOptions } from '@headwater/service'

/** What a service in a child process tells its parent. */
export type ServiceReport =
  | { readonly kind: 'started'; readonly url: string }
  | { readonly kind: 'failed'; readonly code: string | undefined; readonly message: string }

export type ServiceProcess = AsyncDisposable & {
  /** The same after every restart. */
  readonly url: string
  readonly pid: () => number | undefined
  /** Starts it after a kill or a stop; resolves when the service listens. */
  readonly start: () => Promise<void>
  /** Waits until the first copy is done and the service follows its source. */
  readonly untilReady: () => Promise<void>
  /** kill -9: no handler runs, nothing is flushed. */
  readonly kill: () => Promise<void>
  /** SIGTERM, then waits for the exit; gives the exit code. */
  readonly stop: () => Promise<number | null>
  /** CPU time used since the start of the present process, user and system. */
  readonly readUsage: () => Promise<ProcessUsage>
  /** Process ids of the workers that run, as far as its log (from level `info` on) tells. */
  readonly workerPids: () => readonly number[]
  /** The last lines of its log and standard error, over all restarts. */
  readonly readLog: () => readonly string[]
}

export type ProcessUsage = { readonly cpuMs: number; readonly residentBytes: number }

export type ServiceProcessRun = {
  /** More flags for its Node. */
  readonly execArgv?: readonly string[]
  /** A compiled `service-process-entry`, beside compiled packages; the sources are run when absent. */
  readonly compiledEntry?: string
}

const FROM_SOURCES = ['--conditions=@headwater/source', '--enable-source-maps']

const ENTRY = fileURLToPath(new URL('service-process-entry.ts', import.meta.url))
const LOG_LINES_MAX = 2_000

/**
 * Runs a service in a process of its own, so that it can be killed and started again over the same storage and port.
 * The child ends with this process, whatever happens to it. Throws when the first start fails.
 */
export async function startServiceProcess(
  options: ServiceOptions,
  { execArgv = [], compiledEntry }: ServiceProcessRun = {},
): Promise<ServiceProcess> {
  const port = options.http?.port ?? (await findFreePort())
  const settings: ServiceOptions = { ...options, http: { ...options.http, port } }
  const log: string[] = []
  let child: ChildProcess | undefined

  const start = async (): Promise<void> => {
    if (child !== undefined) throw new Error('Cannot start the service: it is running')
    const started = fork(compiledEntry ?? ENTRY, [], {
      execArgv: [...(compiledEntry === undefined ? FROM_SOURCES : []), ...execArgv],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    child = started
    keepLines(started, log)
    started.once('exit', (code, signal) => {
      log.push(`${EXIT_LINE}${signal ?? code}`)
      if (child === started) child = undefined
    })
    started.send(settings)
    const report = await Promise.race([
      once(started, 'message').then(([message]) => message as ServiceReport),
      once(started, 'exit').then((): ServiceReport => failed(`it ended at once:\n${log.slice(-20).join('\n')}`)),
    ])
    if (report.kind === 'failed') {
      await end(started, 'SIGKILL')
      throw Object.assign(new Error(`Cannot start the service: ${report.message}`), { code: report.code })
    }
  }

  const endWith = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
    if (child === undefined) throw new Error(`Cannot send ${signal} to the service: it is not running`)
    return endWithWorkers(child, signal)
  }
  const endWithWorkers = async (ending: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
    const workers = findWorkers(log)
    const code = await end(ending, signal)
    for (const pid of workers) letGoOn(pid)
    return code
  }

  await start()
  return {
    url: `http://127.0.0.1:${port}`,
    pid: () => child?.pid,
    start,
    untilReady: () => untilReady(`http://127.0.0.1:${port}/probes/readiness`),
    kill: async () => void (await endWith('SIGKILL')),
    stop: () => endWith('SIGTERM'),
    readUsage: () => readUsage(child),
    workerPids: () => findWorkers(log),
    readLog: () => log,
    [Symbol.asyncDispose]: async () => {
      if (child !== undefined) await endWithWorkers(child, 'SIGKILL')
    },
  }
}

/**
 * A port that was free a moment ago, and the next one too. Below the range from which systems take the ports of
 * outgoing connections, so that it stays free unless another server is started on it.
 */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** In the log, where a process of the service has ended. */
const EXIT_LINE = '--- exit: '

/** A worker that takes the place of another has its number. */
function findWorkers(log: readonly string[]): readonly number[] {
  const ofPresent = log.slice(log.findLastIndex((line) => line.startsWith(EXIT_LINE)) + 1)
  const pids = new Map<string, number>()
  for (const line of ofPresent) {
    if (!line.includes('"event":"worker-started"')) continue
    const [, worker = ''] = /"worker":(\d+)/.exec(line) ?? []
    pids.set(worker, Number(/"pid":(\d+)/.exec(line)?.[1]))
  }
  return [...pids.values()]
}

/** Workers end by themselves when the main process has, unless a test has stopped them: those would stay for ever. */
function letGoOn(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // It has ended.
  }
}

const POLL_MS = 5

/** As long as the largest first copy of a benchmark may take on a busy machine. */
const READY_MS_MAX = 300_000

async function untilReady(probe: string): Promise<void> {
  const patience = AbortSignal.timeout(READY_MS_MAX)
  while ((await fetch(probe, { signal: patience })).status !== 200) {
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS)
    })
  }
}

async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }
  return child.exitCode
}

async function readUsage(child: ChildProcess | undefined): Promise<ProcessUsage> {
  if (child === undefined) throw new Error('Cannot read the usage of the service: it is not running')
  const answer = once(child, 'message')
  child.send('usage')
  const [usage] = await answer
  return usage as ProcessUsage
}

function keepLines(child: ChildProcess, log: string[]): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      log.push(...lines)
      if (log.length > LOG_LINES_MAX) log.splice(0, log.length - LOG_LINES_MAX)
    })
  }
}

function failed(message: string): ServiceReport {
  return { kind: 'failed', code: undefined, message }
}
