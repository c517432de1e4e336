UPDATE Property SET Value='WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED;CONFIGFILE;CLIENTID;SITE;ROOM;DEVICEURL;DEVICEUSER;SECRETFILE;BROKERURL;STARTSERVICE;KEEPDATA' WHERE Property='SecureCustomProperties'
INSERT INTO CustomAction (Action, Type, Source, Target) VALUES ('Purge', 3170, 'System64Folder', '[System64Folder]cmd.exe /c rmdir /s /q "[CommonAppDataFolder]roomcall"')
INSERT INTO InstallExecuteSequence (Action, Condition, Sequence) VALUES ('Purge', 'REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE AND KEEPDATA="0"', 3550)
UPDATE InstallExecuteSequence SET Sequence=1501 WHERE Action='RemoveExistingProducts'
CREATE TABLE Environment (Environment CHAR(72) NOT NULL, Name CHAR(255) NOT NULL LOCALIZABLE, Value CHAR(255) LOCALIZABLE, Component_ CHAR(72) NOT NULL PRIMARY KEY Environment)
INSERT INTO Environment (Environment, Name, Value, Component_) VALUES ('Path', '=-*PATH', '[~];[INSTALLDIR]', 'Program')
INSERT INTO InstallExecuteSequence (Action, Sequence) VALUES ('RemoveEnvironmentStrings', 3300)
INSERT INTO InstallExecuteSequence (Action, Sequence) VALUES ('WriteEnvironmentStrings', 5200)
