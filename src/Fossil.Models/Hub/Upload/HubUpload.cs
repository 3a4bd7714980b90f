namespace Fossil.Models.Hub;

/// <summary>How something is uploaded to the hub.</summary>
public sealed record HubUpload
{
    /// <summary>The first line of the commit's message.</summary>
    public string CommitMessage { get; init; } = "Upload model";

    /// <summary>What follows in the commit's message; nothing where null.</summary>
    public string? CommitDescription { get; init; }

    /// <summary>The branch; made where it is missing.</summary>
    public string Revision { get; init; } = "main";

    /// <summary>Whether a repository that is made for this is private; as its owner's settings have it where null. One that is there stays as it is.</summary>
    public bool? IsPrivate { get; init; }

    /// <summary>Whether to open a pull request with the commit instead of adding it to the branch.</summary>
    public bool CreatesPullRequest { get; init; }

    /// <summary>The folder in the repository that the files go to, with slashes; its root where null.</summary>
    public string? Folder { get; init; }

    /// <summary>The hash of the commit that the branch must be at; <see cref="HubError.Conflict"/> where it is at another. Any where null.</summary>
    public string? ParentCommit { get; init; }
}

/// <summary>A commit that was made on the hub.</summary>
/// <param name="ModelId">The repository, with its owner.</param>
/// <param name="Hash">The commit's hash.</param>
/// <param name="Address">Where it is shown.</param>
/// <param name="PullRequest">Where the pull request is shown; null without one.</param>
public sealed record HubCommit(string ModelId, string Hash, Uri Address, Uri? PullRequest = null);
