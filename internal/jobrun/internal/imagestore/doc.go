// Package imagestore fetches images once for all jobs of an account, and makes the
// directories of running containers.
//
//	CACHE/                 below the account's base directory, or container.cache_dir/USER
//	  KEY.json             the entry of a reference: which image it is, and where
//	  KEY-DIGEST/          a fetched image
//	  KEY.JOB.new/         one that is being fetched
//	  KEY.lock             the lock for a fetch
//	  KEY-DIGEST.JOB.use   a job uses the image, from its prepare to its cleanup
//	  KEY.json.old         the entry of an image that is to be removed if no job uses it
//	  KEY-DIGEST.gone      an image that is being removed
//	TEMP/jc.XXXXXXXX/      the state of one call of an engine, locked by its owner
//
// Readers never see an incomplete image: it has its final name when it is complete.
package imagestore
