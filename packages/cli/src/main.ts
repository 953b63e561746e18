import { createProgram } from './program.ts'
import { reportFailure } from './report.ts'

// Started by bin/headwater.js: when that is killed, the channel to it closes, and we stop as for Ctrl-C.
if (process.env['HEADWATER_STARTED_BY'] !== undefined) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // Listening to the channel must not keep a verb that is done from ending.
  process.channel?.unref()
}

try {
  await createProgram().parseAsync()
} catch (error) {
  reportFailure(error)
}
