<?php

$redis = [
    'host' => '127.0.0.1',
    'port' => (int) (getenv('REDIS_PORT') ?: 6379),
    'database' => 0,
    'password' => null,
];
$sql = [
    'host' => getenv('DB_HOST') ?: '127.0.0.1',
    'port' => getenv('DB_PORT') ?: null,
    'database' => getenv('DB_DATABASE') ?: ':memory:',
    'username' => getenv('DB_USERNAME') ?: '',
    'password' => getenv('DB_PASSWORD') ?: '',
    'unix_socket' => getenv('DB_SOCKET') ?: '',
    'prefix' => '',
];

return [
    'app' => [
        'name' => 'Shop',
        'env' => 'testing',
        'debug' => true,
        'url' => 'http://localhost',
        'timezone' => 'UTC',
        'locale' => 'en',
        'fallback_locale' => 'en',
        'key' => 'base64:' . base64_encode(str_repeat('k', 32)),
        'cipher' => 'AES-256-CBC',
        'providers' => [
            Illuminate\Bus\BusServiceProvider::class,
            Illuminate\Cache\CacheServiceProvider::class,
            Illuminate\Foundation\Providers\ConsoleSupportServiceProvider::class,
            Illuminate\Database\DatabaseServiceProvider::class,
            Illuminate\Encryption\EncryptionServiceProvider::class,
            Illuminate\Filesystem\FilesystemServiceProvider::class,
            Illuminate\Queue\QueueServiceProvider::class,
            Illuminate\Redis\RedisServiceProvider::class,
        ],
        'aliases' => [],
    ],
    'cache' => [
        'default' => 'redis',
        'stores' => ['redis' => ['driver' => 'redis', 'connection' => 'default']],
        'prefix' => 'shop_cache',
    ],
    'database' => [
        'default' => getenv('DB_CONNECTION') ?: 'sqlite',
        'connections' => [
            'sqlite' => ['driver' => 'sqlite'] + $sql,
            'mysql' => ['driver' => 'mysql', 'charset' => 'utf8mb4', 'collation' => 'utf8mb4_unicode_ci'] + $sql,
            'pgsql' => ['driver' => 'pgsql', 'charset' => 'utf8', 'schema' => 'public'] + $sql,
        ],
        'migrations' => 'migrations',
        'redis' => [
            'client' => 'phpredis',
            'options' => ['prefix' => 'shop_database_'],
            'default' => $redis,
        ],
    ],
    'filesystems' => ['default' => 'local', 'disks' => []],
    'logging' => ['default' => 'errorlog', 'channels' => ['errorlog' => ['driver' => 'errorlog']]],
    'queue' => [
        'default' => 'redis',
        'connections' => [
            'redis' => [
                'driver' => 'redis',
                'connection' => 'default',
                'queue' => 'default',
                'retry_after' => (int) (getenv('RETRY_AFTER') ?: 90),
                'block_for' => getenv('BLOCK_FOR') ? (int) getenv('BLOCK_FOR') : null,
            ],
        ],
        'failed' => [
            'driver' => getenv('FAILED_DRIVER') ?: 'database-uuids',
            'database' => getenv('DB_CONNECTION') ?: 'sqlite',
            'table' => 'failed_jobs',
        ],
    ],
];
