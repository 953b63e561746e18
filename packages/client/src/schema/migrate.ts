import type { WriteSession } from '../sqlite/session.ts'
import type { Schema } from './schema.ts'

export async function applySchema(_session: WriteSession, _schema: Schema): Promise<void> {}
