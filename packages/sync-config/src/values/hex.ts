import { EvaluationError } from './value.ts'

/** Two digits a byte, from `start` on. Throws `EvaluationError` for anything else. */
export function decodeHex(text: string, start = 0): Uint8Array {
  const digitCount = text.length - start
  if (digitCount % 2 === 1) {
    throw new EvaluationError('Cannot read binary data: expected two hexadecimal digits a byte')
  }
  const bytes = new Uint8Array(digitCount / 2)
  for (let at = 0; at < bytes.length; at++) {
    const byte = (digitAt(text, start + at * 2) << 4) | digitAt(text, start + at * 2 + 1)
    if (byte < 0) throw new EvaluationError('Cannot read binary data: expected hexadecimal digits')
    bytes[at] = byte
  }
  return bytes
}

/** Below zero for any other character. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code >= 48 && code <= 57) return code - 48
  const lowerCase = code | 32
  return lowerCase >= 97 && lowerCase <= 102 ? lowerCase - 87 : -1
}
