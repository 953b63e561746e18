/** The child side of `startServiceProcess`: takes its options from the parent, starts a service, says so. */
import { HeadwaterError } from '@headwater/protocol'
import { startService, type ServiceOptions } from '@headwater/service'
import type { ProcessUsage, ServiceReport } from './service-process.ts'

process.once('message', (options) => void run(options as ServiceOptions))
// The parent is gone, even by kill -9: no test may leave a process behind.
process.once('disconnect', () => process.exit(1))

async function run(options: ServiceOptions): Promise<void> {
  try {
    const service = await startService(options)
    process.once('SIGTERM', () => void service.stop().then(() => process.exit(0)))
    process.on('message', (message) => {
      if (message === 'usage') report(readUsage())
    })
    report({ kind: 'started', url: service.url })
    await service.ended
  } catch (error) {
    const code = error instanceof HeadwaterError ? error.code : undefined
    report({ kind: 'failed', code, message: error instanceof Error ? error.message : String(error) })
    console.error(error)
  }
}

function readUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage()
  return { cpuMs: (user + system) / 1_000, residentBytes: process.memoryUsage.rss() }
}

function report(message: ServiceReport | ProcessUsage): void {
  process.send?.(message)
}
