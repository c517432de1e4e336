# Installed means: the wanted version, and a running service.
$wanted = '0.1.0'
$exe = Join-Path $env:ProgramFiles 'roomcall\roomcall.exe'
if (-not (Test-Path $exe)) { exit 1 }
if ((& $exe version --json | ConvertFrom-Json).version -ne $wanted) { exit 1 }
if ((Get-Service roomcall -ErrorAction SilentlyContinue).Status -ne 'Running') { exit 1 }
Write-Output "roomcall $wanted runs"
exit 0
