/**
 * Runs every test: unit, Postgres, browser, and across packages. Arguments go to Vitest
 * (`npm test -- packages/client`). Says plainly what could not run, and ends with a count.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureChromium } from './chromium.ts'

type VitestReport = {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly numFailedTestSuites: number
}

const folder = mkdtempSync(join(tmpdir(), 'headwater-test-'))
const reportFile = join(folder, 'report.json')
const browser = ensureChromium((text) => {
  console.log(text)
})
const skippedProjects = browser.kind === 'missing' ? ['browser'] : []
const chosen = process.argv.slice(2)

const status = await runVitest([
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${reportFile}`,
  ...skippedProjects.map((name) => `--project=!${name}`),
  ...chosen,
])

if (browser.kind === 'missing')
  console.log(`Skipped: every browser test, because no Chromium was found. ${browser.remedy}`)
const report = readReport()
if (report === undefined || report.numPassedTests + report.numFailedTests === 0) {
  console.log('No test ran: either none fits what was asked for, or Vitest itself failed, as shown above.')
  console.log('0 passed, 1 failed')
} else {
  const failed = Math.max(report.numFailedTests, status === 0 ? 0 : 1)
  const skipped = report.numPendingTests + report.numTodoTests
  console.log(skipped === 0 && browser.kind === 'found' ? 'Nothing was skipped.' : `Skipped: ${skipped} single tests.`)
  console.log(`${report.numPassedTests} passed, ${failed} failed, ${skipped} skipped`)
}
rmSync(folder, { recursive: true, force: true })
process.exitCode = status === 0 && (report?.numPassedTests ?? 0) === 0 ? 1 : status

function runVitest(args: readonly string[]): Promise<number> {
  const entry = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs')
  const environment = { ...process.env, ...(browser.kind === 'found' ? { CHROMIUM: browser.path } : {}) }
  const child = spawn(process.execPath, ['--conditions=@headwater/source', entry, ...args], {
    stdio: 'inherit',
    env: environment,
  })
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      resolve(code ?? 1)
    })
  })
}

function readReport(): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(reportFile, 'utf8')) as VitestReport
  } catch {
    return undefined
  }
}
