/**
 * Runs the tests that carry numbers of a conformance list, and says which items pass: `npm run conformance`, or
 * `npm run conformance -- protocol`. In the list's own folder a title begins with `[12] ` or `[12, 14] `, elsewhere with
 * `[sync-config 12] `. An item passes when a test names it and none that names it fails. Ends with status 1 unless all
 * pass.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import {
  CONFORMANCE_LISTS,
  type ConformanceList,
  countItems,
  describeCount,
  type NumberedTest,
  titlePattern,
} from './conformance-count.ts'

const wanted = process.argv[2] ?? 'sync-config'
const list = CONFORMANCE_LISTS.find(({ name }) => name === wanted)
if (list === undefined) {
  console.error(`There is no list "${wanted}". Give one of: ${CONFORMANCE_LISTS.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'headwater-conformance-'))
try {
  const status = await runVitest(list, join(folder, 'report.json'))
  const tests = readTests(join(folder, 'report.json'))
  const count = countItems(tests, list)
  console.log(describeCount(count, list))
  if (tests.length === 0) console.log(`No test ran: Vitest ended with status ${status}, as shown above.`)
  process.exitCode = count.missing.length + count.failed.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function runVitest(list: ConformanceList, reportFile: string): Promise<number> {
  const entry = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const projects = list.projects.map((project) => `--project=${project}`)
  const args = ['run', ...list.folders, ...projects, `--testNamePattern=${titlePattern(list).source}`]
  const reporters = ['--reporter=json', `--outputFile.json=${reportFile}`]
  const child = spawn(process.execPath, ['--conditions=@headwater/source', entry, ...args, ...reporters], {
    cwd: root,
    stdio: 'inherit',
  })
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      resolve(code ?? 1)
    })
  })
}

type VitestReport = {
  readonly testResults: readonly {
    /** Path of the file. */
    readonly name: string
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

function readTests(reportFile: string): readonly NumberedTest[] {
  let report: VitestReport
  try {
    report = JSON.parse(readFileSync(reportFile, 'utf8')) as VitestReport
  } catch {
    return []
  }
  return report.testResults.flatMap(({ name, assertionResults }) => {
    const file = relative(root, name)
    return assertionResults
      .filter(({ status }) => status === 'passed' || status === 'failed')
      .map(({ title, status }) => ({ file, title, hasPassed: status === 'passed' }))
  })
}
