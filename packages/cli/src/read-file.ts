import { readFile } from 'node:fs/promises'

import { HeadwaterError } from '@headwater/protocol'

import { describeFileError } from './file-error.ts'

/** A file that the command line names. Throws `bad-settings` naming the file and the option. */
export async function readInput(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const words = describeFileError(cause, 'read')
    throw new HeadwaterError('bad-settings', `Cannot read ${path}: ${words}. Name another one with ${option}.`, {
      cause,
    })
  }
}

/** The same for a file that holds JSON, which `parse` reads. */
export async function readJsonInput<Value>(
  path: string,
  option: string,
  parse: (text: string) => Value,
): Promise<Value> {
  const text = await readInput(path, option)
  try {
    return parse(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new HeadwaterError('bad-settings', `Cannot read ${path}, given with ${option}: it is not JSON (${reason})`, {
      cause,
    })
  }
}
