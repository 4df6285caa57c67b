/** The verbs. Each is loaded when it is asked for: to load them all takes longer than most of them run. */
import type { Command } from 'commander';

export interface Verb {
  name: string;
  /** Its line in the list of commands; and its description, where it has none of its own. */
  summary: string;
  load(): Promise<Command>;
}

export const VERBS: readonly Verb[] = [
  {
    name: 'record',
    summary: 'record MySQL traffic off an interface into an archive',
    load: async () => (await import('./record.ts')).recordCommand() as Command,
  },
  {
    name: 'ls',
    summary: 'list the sessions of an archive',
    load: async () => (await import('./ls.ts')).lsCommand() as Command,
  },
  {
    name: 'show',
    summary: 'print the commands of sessions and their answers',
    load: async () => (await import('./show/show.ts')).showCommand() as Command,
  },
  {
    name: 'export',
    summary: 'write the packets of an archive to one pcap file',
    load: async () => (await import('./export.ts')).exportCommand() as Command,
  },
  {
    name: 'import',
    summary: 'make an archive of a pcap or pcapng file',
    load: async () => (await import('./import.ts')).importCommand() as Command,
  },
  {
    name: 'intercept',
    summary: "catch the target's answers on the assistant host, and complete its TCP",
    load: async () => (await import('./intercept.ts')).interceptCommand() as Command,
  },
  {
    name: 'replay',
    summary: 'replay an archive onto a test server',
    load: async () => (await import('./replay.ts')).replayCommand() as Command,
  },
  {
    name: 'mirror',
    summary: 'replay live traffic onto a test server while it happens',
    load: async () => (await import('./mirror.ts')).mirrorCommand() as Command,
  },
  {
    name: 'ctl',
    summary: 'ask a run how far it is, and change it while it runs',
    load: async () => (await import('./ctl.ts')).ctlCommand() as Command,
  },
  {
    name: 'routes',
    summary: "print the routes that the target needs for an archive's clients, the fewest there can be",
    load: async () => (await import('./routes.ts')).routesCommand() as Command,
  },
  {
    name: 'doctor',
    summary: 'check each step of the path before a replay',
    load: async () => (await import('./doctor.ts')).doctorCommand() as Command,
  },
  {
    name: 'verify',
    summary: 'read all of an archive, and name what is damaged in it',
    load: async () => (await import('./verify.ts')).verifyCommand() as Command,
  },
];
