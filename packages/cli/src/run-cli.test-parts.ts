import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { onTestFinished } from 'vitest'

const BIN = fileURLToPath(new URL('../bin/headwater.js', import.meta.url))

export type Finished = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** The command as a user starts it, in a process of its own. */
export type Running = {
  readonly child: ChildProcess
  readonly ended: Promise<Finished>
  /** Resolves with everything printed so far once `pattern` is in it; rejects when the command ends before. */
  readonly prints: (pattern: RegExp) => Promise<string>
}

export function startCli(args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Running {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const output = { stdout: '', stderr: '' }
  const waiting = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
      for (const wake of waiting) wake()
    })
  }
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }))
  const prints = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        if (!pattern.test(output.stdout + output.stderr)) return
        waiting.delete(look)
        resolve(output.stdout + output.stderr)
      }
      waiting.add(look)
      look()
      void ended.then(() => reject(new Error(`It ended before printing ${pattern}:\n${output.stdout}${output.stderr}`)))
    })
  return { child, ended, prints }
}

export function runCli(
  args: readonly string[],
  options?: { cwd?: string; env?: NodeJS.ProcessEnv },
): Promise<Finished> {
  return startCli(args, options).ended
}

export type Folder = AsyncDisposable & { readonly path: string; readonly file: (name: string) => string }

/** A directory with these files, removed at the end. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-cli-'))
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content)
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

export const SYNC_CONFIG = `config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM todos WHERE owner = auth.user_id()
`

export const TODOS = `
CREATE TABLE todos (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), owner text NOT NULL, title text);
INSERT INTO todos (owner, title) VALUES ('ann', 'milk'), ('bob', 'bread')`
