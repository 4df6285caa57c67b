import { execFileSync, spawnSync } from 'node:child_process';
import { atEnd } from './at-end.ts';

/** Makes the network namespace `name`, which is taken away again when this process ends, if it was not before. */
export function addNamespace(name: string): void {
  execFileSync('ip', ['netns', 'add', name]);
  atEnd(() => removeNamespace(name));
}

export function removeNamespace(name: string): void {
  spawnSync('ip', ['netns', 'del', name]);
}
