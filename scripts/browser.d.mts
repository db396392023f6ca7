export function browserPaths(): string[];
export function ensureBrowser(): void;
